// Package audit keeps the audit log of an instance: who did what to it, when, and how it ended, as one JSON a line.
//
//	journal ──Since──▶ Log ──▶ .theseus/audit.jsonl, .1, .2, .3     each of DefaultSize at most, mode 0600
//	host, daemon ──Note──┘ └──▶ Events: what `reltool history` shows
//
// What holds:
//   - Every record of the journal gets exactly one line, in a file that is kept until three newer ones are full. The journal is the
//     truth and the log follows it: what a crash or a disk that refuses has kept from the log is written later, found by its
//     number. If the disk refuses for so long that the journal itself has dropped records, hundreds of upgrades, one line says which.
//   - What no journal has, as crashes of services and starts of the daemon, is written once. If the disk takes nothing
//     for so long that more than a thousand such lines wait, the oldest are dropped, and a later line says how many.
//     A service that crashes all the time gets a burst of lines and then one a minute, which says how many it stands for.
//   - Note and Wake return at once, whatever the disk does. No error of the log is an error of anything else; the
//     daemon's own log tells of it.
//   - Open cuts off a line that a crash has torn.
package audit
