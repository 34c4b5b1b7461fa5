// Package supervise starts children, watches them, and starts them again when they fail, by the rules of OTP's
// supervisor: the same strategies, the same way to count restarts, the same order of starting and stopping.
//
//	                 ┌ Supervisor (one_for_one: only what failed, one_for_all: all, rest_for_one: it and those after)
//	                 │    a failed start is tried again and counts; more than Intensity restarts within Period
//	starts in order, │    end the supervisor itself, and its own parent decides (escalation)
//	stops in reverse ├── Child  a goroutine: [Go]
//	                 ├── Child  another [Supervisor]
//	                 └── Child  whatever implements [Child]: a process of the operating system, an actor
//
// What holds:
//   - A child that is listed after another one starts when that one is ready, and ends before it.
//   - [Supervisor.Run] returns only when every child has ended, or was given up as below.
//   - While a child does not come up, the supervisor answers: it can be asked, changed and stopped between two tries.
//   - A child is asked to end, given ChildSpec.Shutdown, and then killed. A goroutine cannot be killed in Go: it is
//     orphaned, which means that nobody waits for it any more, its result is not heeded, and it is counted in
//     [Info.Orphans] until it returns.
//   - A panic of a goroutine is an exit with a [PanicError]; it does not end the program.
//
// The rules mirror supervisor.erl of OTP's stdlib 4.2, and DynamicSupervisor of Elixir where it says so.
package supervise
