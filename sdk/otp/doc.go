// Package otp has processes in the sense of Erlang/OTP: each owns its state, handles one message after another, fails
// alone, and is data while it has nothing to do.
//
//	Call, Cast, timers ──▶ mailbox ─┐  bounded; a call that is out of time is dropped unhandled
//	                                ├─▶ one handler at a time, on a goroutine that exists only while there is mail
//	suspend, exit, links ─▶ signals ┘  never bounded, before all mail
//	                                └─▶ exit: Terminate, links and monitors are told, names are free again
//
// A process of [Behaviour] S is a word, two queues and an S: no goroutine, no channel. So a million of them are cheap to
// hold and to collect, and a process can be suspended, looked into and moved to other code, as sys does in OTP.
//
// What holds:
//   - Messages from one process to another arrive in the order of sending. One handler of a process runs at a time.
//   - A call returns the reply, an [Exit] if the process ended or was never there, or an error of its context. A call
//     without a deadline has [DefaultTimeout]. A call that timed out before its turn is never executed; OTP would.
//   - A mailbox holds [Behaviour].Mailbox messages; more are refused with ErrOverloaded. Signals and what follows from
//     links, monitors and timers always arrive.
//   - A panic of a handler is the exit of its process, with a stack. It does not end the program.
//   - A process that calls itself, directly or round a circle of calls, gets an error instead of waiting for ever.
//   - A handler that runs cannot be killed in Go. A process that is killed meanwhile is dead for everybody else at once;
//     its goroutine is counted in [Stats] until it returns.
//
// Messages are plain structs, not functions, so that mail can wait while code changes. Supervision is package supervise:
// [Child] makes a process one of its children.
package otp
