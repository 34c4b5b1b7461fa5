// Package fault makes a matrix of crashes out of what real upgrades do.
//
//	scenario ──runs with──▶ trace ──Spots──▶ points ─┐
//	                                                 ├─ Matrix ─▶ cases ─▶ upgrades/fault/crash runs them
//	victims x ways to fall ──────────────────────────┘
//
// A [Spot] is a point of sdk/fault that a process reached in a certain phase of a scenario; the phase is the last record
// of the journal. A [Shot] says who falls at that instant, and how: it is killed, or it stands still and wakes up, early
// or after the others have given it up. A [Case] is one shot in one scenario, or two: the second one falls into the
// recovery of the first.
//
// A case is text, so that one that failed can be run again:
//
//	up,new@service.armed~committed:1,all,kill
//	up,daemon@call.after/release~switching:1,old,late+daemon@daemon.attached:1,daemon,kill
//
// Nothing here starts a process.
package fault
