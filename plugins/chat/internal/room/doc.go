// Package room has the rooms of a chat: each is a process of its own, and its history lies in the state log.
//
//	rooms ── Dynamic ─┬─ supervisor of "general" ── process room:general ── Log: general/1, general/2, ...
//	                  └─ supervisor of "random"  ── process room:random         │
//	                                                    │ after the append      │ survives all of this
//	                                                    └──▶ Audience: members who are here now
//
// What holds:
//   - A message is in the log before it is acknowledged, and acknowledged before it is told to anybody. Offsets begin at 1
//     and have no gaps; the epoch of a room stays the same for as long as the room is there.
//   - A crash of a room is a crash of that room alone. It starts again with the next offset, and its members stay.
//   - A room that crashes more than [Intensity] times within [Period] stays down, as OTP has it; its supervisor ends, and
//     the others go on. Creating it again brings it back, with its history. Members are told when it is down, and when it is back.
//   - A message with an id that its author has used within [Window] is acknowledged again with the first one's offset.
//   - A room keeps its newest messages, [Keep] of them at least or as many as [KeepBytes] hold; the rest are deleted.
//   - A room that is removed is hidden first, then its process ends, then its messages go: what was acknowledged in the next
//     room of its name is in that one, and a removal that was cut off is finished later.
//   - A sanction is a row, and what follows from it is done by the room's process: nobody who is banned comes in between.
//   - Members get what is said from the instant at which they join: what came before is in the history they are given.
package room
