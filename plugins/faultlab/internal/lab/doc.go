// Package lab crashes workers on purpose, under a real supervisor, and writes down what happened.
//
//	Plan ──check──▶ trial ── a Supervisor of package supervise, with a crew of workers of one level
//	                  │        process    a process of package otp
//	                  │        goroutine  a function that runs
//	                  │        program    a process of the operating system
//	                  ├ choose a victim, hurt it, wait until the supervisor has done what it does, ask who was restarted
//	                  └▶ Trial: the story, a timeline, recovery times, what could not be ended
//
// What holds:
//   - A wrong plan is an error before anything starts.
//   - The story is told of what was seen, not of what the strategy should do. The same plan with the same seed tells the
//     same story.
//   - When a run returns nothing of it is left, whatever happened: no process, no goroutine. What Go cannot end, a handler
//     or a goroutine that hangs, is counted as orphaned, and let go by the lab, which made it hang, at the end.
package lab
