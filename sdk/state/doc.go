// Package state is the state log: tables that outlive the process, the version of the program and the shape of their
// rows. One mechanism serves recovery after a crash, upgrade, rehearsal and rollback.
//
// A table is an index in memory in front of an append-only log in mapped files. The rows lie in the log; memory holds
// eight bytes for each, and no pointers. Many processes may read a log, each with an index of its own; one writes.
//
//	put ──▶ lock of the shard ──▶ append: copy, then swap the commit word ──▶ index ──▶ unlock ──▶ acknowledge
//	                                        │
//	      fence (any process) ──────────────┘ one OR on the same word: the swap fails, and with it the right to write
//
// # Promises
//
//   - An acknowledged write survives the end of the process, kill -9 included; in a table that is [Durable] it also
//     survives a loss of power.
//   - There is one writer. The bit that ends its rights and the final tail of what it wrote are one word, so a writer
//     that slept anywhere, for any time, can neither acknowledge a write after it was fenced nor touch what was
//     committed: each epoch writes to files of its own.
//   - [Store.Activate] and [Store.Release] do not take longer with more rows.
//   - A reader of any version finds rows in its own shape: older rows go up through the Steps as they are read, and
//     newer ones were written with shadows. What an older shape cannot hold is kept beside the row, so going down and
//     up again is the identity.
//   - The records of a key stand in the log in the order in which readers saw them.
//   - While an older version may come back, a row that it could not hold is refused and not acknowledged.
//   - A panic in a step or a check is an error of the row.
//   - A damaged log is an error that names file and offset. It is never a panic, and never fewer rows without a word.
//
// # The log
//
// A segment is a file of fixed size whose blocks were allocated before it was mapped, so a store into it never fails:
//
//	EEEEEEEEEE-SSSSSSSSSS.seg          (epoch of its writer, and its place in the epoch from 0)
//	┌──────────────────────────────────────────────────────────────┐ 0
//	│ magic, format, epoch, seq, epoch and seq before it, size,    │
//	│ seed of the hash, boot id of the machine, checksum           │
//	│ commit word: check, tail, sealed, fenced                     │ 256
//	│ synced: on disk up to here                                   │ 320
//	│ final tail of the segment before it                          │ 384
//	├──────────────────────────────────────────────────────────────┤ 4096
//	│ group: record, shadow in an older shape, ...                 │
//	│ group: record                                                │
//	├──────────────────────────────────────────────────────────────┤ tail
//	│ nothing, or what a fenced writer left and nobody reads       │
//	└──────────────────────────────────────────────────────────────┘ size
//
// A full segment is sealed once its successor of the same epoch is there, and a fenced one is followed by the first
// segment of the next epoch, whose name can be taken once:
//
//	1-0 sealed ──▶ 1-1 sealed ──▶ 1-2 fenced ──▶ 2-0 fenced ──▶ 3-0 (the writer)
//	                              1-3 published ahead, never used: no part of the log
//
// The file "base" names the first segment that is still needed; without it that is 1-0. Compaction writes the rows that
// lie in older segments again at the end, brings that to disk, moves the base and deletes what lies before it. It
// needs the lock on "followers" exclusively, which everyone who reads a log holds shared, so nobody misses a segment.
//
// # A life
//
//	Open ── NewTable... ── Load ──▶ follower ──Activate──▶ writer
//	                                   ▲                     │
//	                                   └─ Release, or a fence ┘ any number of times
//
// [Store.Follow] runs beside it all the while: it keeps a follower up with the log, removes expired rows, prepares
// segments ahead of their use and compacts.
//
// # When things break
//
//   - The process dies: the pages belong to the kernel. The next one reads to the tail; what was copied and not
//     committed lies behind it.
//   - The disk is full: no segment can be made, the write is refused with [ErrNoSpace], nothing of it is in the log, and
//     it goes on when there is room. Each process keeps a small segment in reserve, with which it can become the
//     writer on a full disk; without one Activate fails before it fences, so the old writer goes on too.
//   - The power fails: segments with another boot id may lack pages. Their checksums are believed instead of the tail;
//     the log is cut at the first bad record, with a warning. A bad record before what was synced is a [CorruptError].
//     Segments behind the cut are kept aside as *.lost by the next writer.
//   - On a file system that copies on write, such as btrfs or zfs, allocated blocks are no promise: there a full disk
//     can end the process. Nothing acknowledged is lost by that.
//   - A sync fails: the kernel has forgotten what it could not write, so this process writes nothing any more.
//   - A bit flips: in a record, a header or a commit word the check finds it when the log is read.
//   - The clock is set back: rows that expired do not come back in this process, but may in the next one.
package state
