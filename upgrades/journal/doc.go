// Package journal is an append-only file of records, each of them on disk before the step that it announces.
//
//	offset 0                                                        end of file
//	┌─────┬────────┬─────┬─────────┬─────┬────────┬─────┬─────────┬ ─ ─ ─ ─ ─ ┐
//	│ len │ crc32c │ seq │ payload │ len │ crc32c │ seq │ payload │ torn tail
//	└─────┴────────┴─────┴─────────┴─────┴────────┴─────┴─────────┴ ─ ─ ─ ─ ─ ┘
//	  u32    u32     u64   len bytes      little endian; seq 1, 2, 3, ...
//	         of len, seq and payload
//
// The first record may be a base, whose length has its highest bit set: it stands for all records up to its number,
// which [Journal.Compact] has dropped.
//
// What holds:
//   - A record that Append has returned for, or whose sync has returned nil, is there after a crash and after a loss
//     of power. A record that Write has returned for is there after a crash of the process.
//   - At most one record is ever between the kernel and the disk: the next one waits for it. So a loss of power can
//     tear the last record and no other. Open cuts a torn last record off; it was never acknowledged.
//   - Anything else that does not read is a [CorruptError] with file and offset. Open then changes nothing and leaves
//     the file to a human: records behind the damage are decisions that were acted upon.
//   - Compact exchanges the whole file, by a rename of one that is on disk: there is never a journal without its beginning.
//   - One process has the file: a second Open fails with [ErrLocked].
//   - A full disk refuses the record with [ErrNoSpace] and leaves the file as it was; the journal goes on once there is
//     space. After any other error of a write or an fsync nobody knows what is on disk: the journal is poisoned,
//     every later call fails with [ErrPoisoned] and what caused it, until the file is opened anew. Open writes what it reads again.
package journal
