// Package supervise keeps things running that may fail: it is OTP's supervisor, once, for goroutines, for processes of
// the operating system and for actors alike.
//
//	                   ┌─────────── top ───────────┐  one_for_one
//	                   │             │             │
//	                  db           rooms         pool       rooms: rest_for_one, pool: simple_one_for_one
//	              (permanent)     ┌──┴───┐      ┌──┼──┐
//	                            index  chat     1  2  3
//
//	    start ──────▶ running ── ends, rule says restart ──▶ start again ── fails ──▶ restarting ─┐
//	      │              │                                        ▲                               │
//	    error            └── ends, rule says no ──▶ stopped       └── counted, tried again ◀──────┘
//	      │                                         (temporary: forgotten)    │
//	      ▼                                                                   ▼ more than Intensity in Period
//	those started before                                     the others are stopped in reverse order, and Run
//	are stopped in reverse                                   returns a shutdown: now the parent applies its rule
//
// What a [Spec] says is checked whole, nested supervisors included, before anything starts: [New] returns one error
// that names the place. A [Supervisor] is one goroutine, the one that called Run; nothing runs before that. Zero
// values are OTP's defaults, and every name prints as OTP spells it.
//
// What is promised:
//   - Children start in the order given, each only when the one before is ready, and stop in the reverse order.
//   - A child is restarted as its [Restart] says, alone or with its siblings as the [Strategy] says, and never while
//     the incarnation before may still run, unless that one is an orphan (see below).
//   - Every restart counts, each failed attempt again. Intensity of them may fall into Period, both ends included, on
//     a clock of whole seconds, which is how OTP counts; with one more the supervisor gives up.
//   - Between two attempts the supervisor answers its callers, so a child that cannot start can still be looked at,
//     terminated and replaced.
//   - When Run has returned, every child has ended or is listed in [Supervisor.Orphans].
//
// What happens when things break:
//   - A child panics: a goroutine's panic is its reason, with the stack; it takes nothing else down. A panic in Start
//     is a failed start.
//   - A child does not stop: after its Shutdown it is killed. A goroutine cannot be killed. Its context ends with
//     [ErrKilled], the supervisor goes on without it, and it is an orphan until it returns: counted, listed and
//     reported. If its successor must not overlap with it, give it [Infinity] and make it return.
//   - A start hangs: so does its supervisor, as in OTP, until Stop or the end of Run's context, which ends the context
//     that Start was given.
//   - The supervisor itself gives up: Run returns a [*ShutdownError] with an [*IntensityError] inside. A supervisor
//     above counts that as the end of one of its children. A transient or temporary child of type supervisor is
//     therefore not restarted when it gives up, which is OTP's rule too.
//
// Start functions and event hooks run on the supervisor's own goroutine. They must not call it, or both wait forever.
package supervise
