// Package circuit is a circuit breaker as a table: a [Circuit] is plain data, every call makes another one of it, and
// nothing else happens.
//
//	                     Trip                  CoolDown
//	        ┌────────▶ Closed ───────▶ Open ───────────▶ HalfOpen ──┐
//	        │                            ▲                 │   │    │
//	        │                            └──── Relapse ────┘   │    │
//	        └───────────────── Recover ────────────────────────┘    │
//	                                                                │
//	      ForceOpen                ForceClose                       │
//	any ───────────▶ ForcedOpen   any ────────────▶ ForcedClosed    │
//	any ───────────▶ Closed by Reset ◀──────────────────────────────┘
//
// Closed counts what is reported: failures in a row, and calls, failures and slow calls of the last Window. Trip comes
// when one of the thresholds is reached. Open refuses every call until its cooldown is over, which gets longer each time
// it follows another one. HalfOpen lets Probes calls through, each with a lease: when all of them went well the circuit
// closes, and the first that fails, is slow, or is not reported before its lease ends opens it again. What is forced stays
// so until it is reset; reports change nothing then. A report that belongs to no probe changes nothing while the circuit
// is not closed: it is of a call that was permitted before.
package circuit
