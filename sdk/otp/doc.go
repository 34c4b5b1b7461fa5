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
//   - A panic of a handler is the exit of its process, with a stack. It does not end the program. So is runtime.Goexit.
//   - A process that calls itself, directly or round a circle of calls, gets an error instead of waiting for ever.
//   - With [Behaviour].Inline the handlers promise not to wait, and a call to an idle process is handled in the goroutine of its
//     caller. Everything else here stays true of it.
//   - A handler that runs cannot be killed in Go. A process that is killed meanwhile is dead for everybody else at once;
//     its goroutine is counted in [Stats] until it returns.
//
// Messages are plain structs, not functions, so that mail can wait while code changes. Supervision is package supervise:
// [Child] makes a process one of its children.
//
// # The next version
//
// The node of a service (sdk.Setup.Node) is hosted: at an upgrade, at a rollback and over a stop in order its processes go
// on in the next version, under the same PIDs.
//
//		version 1   awake ── Keep: rows of all, then of what changes ── Freeze ─┐
//		                                                                        ▼ the log has all of it
//		version 2   follows ─────────────────────────────────────────────────── awake: a process is made of its row when it
//		                                                                               is first addressed, or has to do something
//
//	  - What goes on: the state, through [Behaviour].State, which has Steps as a table has; mail in its order; timers and idle
//	    timeouts with what is left of them; links, monitors, names, topics; who waits for an answer. The exported fields of
//	    a state travel, as in a table; what else it needs is made again in [Behaviour].Restore.
//	  - A handler that runs is finished first, and so are those that it calls. One that does not end in time keeps the version
//	    from letting go, and everything goes on as if nothing was.
//	  - A caller who waits outside of processes goes on waiting, and is answered by the next version, even in the program of
//	    the one before. (A request of package serve does not wait so long: it learns of the switch by its context.) Other calls
//	    from outside wait while a node freezes, and get ErrAsleep in the version that is not awake.
//	  - Without a version that may take over nothing is written. While there is one, what changes is copied every 2 ms, and
//	    the pause carries the rest.
//	  - After a crash there are no processes: the supervisors of [Options].Root start them afresh, as in OTP. Those of a behaviour
//	    with Persist come back when they are addressed, with the state of their last acknowledged message and their names,
//	    without mail, timers, links and topics; their states are written after each handler, before its answer. Who waited in
//	    another version for an answer gets ErrKilled.
//	  - Supervisors are made anew in each version and take over, by name, the children that are there. Children that were added
//	    to a dynamic supervisor go on too, but nobody restarts them until they are added again.
//	  - What could not travel is refused: types of messages when the service starts, messages that the next version does not
//	    know in its rehearsal, anything else before a version lets go. A message that a newer version had and an older one does not
//	    know is [Unknown] there.
package otp
