// Package fault names the points at which a process of Theseus can be made to die or to stand still, so that a test
// can do to the shipped binaries what a crash would do, at exactly that instant.
//
//	fault.At(fault.Parked) ── off: one atomic load
//	        │
//	        └─ on, as THESEUS_FAULT says ─┬─ trace  append the point to a file, go on
//	                                      ├─ kill   SIGKILL, nothing runs any more
//	                                      └─ stop   SIGSTOP, until somebody sends SIGCONT
//
// A point is a line of [Points]. Nothing is on unless a program calls [Enable] and the environment variable was there
// when the process was started; a service process has it only if its daemon has. [Enable] has the grammar.
//
// Package upgrades/fault makes a matrix of all points, processes and signals, and looks at what is left.
package fault
