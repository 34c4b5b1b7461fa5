package state

import (
	"errors"
	"fmt"
)

// What a caller may have to tell apart.
var (
	// ErrNotWriter says that this process may not change the log: it never became the writer, or it was fenced.
	ErrNotWriter = errors.New("state: not the writer of this log")
	// ErrNoSpace says that the file system has no room for the change. Nothing was written; it may be tried again.
	ErrNoSpace = errors.New("state: no space left for the log")
	// ErrCorrupt is wrapped by every [CorruptError].
	ErrCorrupt = errors.New("state: the log is damaged")
	// ErrNewer is wrapped by every [NewerError].
	ErrNewer = errors.New("state: row of a newer schema")
	// ErrTooLarge says that a row is larger than [MaxRow] or a key larger than [MaxKey].
	ErrTooLarge = errors.New("state: row too large")
	// ErrNoWayDown says that a row cannot be written while older versions are to read every row: the step down refuses
	// it. Nothing was written.
	ErrNoWayDown = errors.New("the version before cannot hold it")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("state: store is closed")
)

// CorruptError says where the log is damaged.
type CorruptError struct {
	File   string
	Offset int64 // in bytes, from the beginning of the file
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("state: %s is damaged at byte %d: %s", e.File, e.Offset, e.Reason)
}

func (e *CorruptError) Unwrap() error { return ErrCorrupt }

// NewerError names a row that was written by a newer version and not in a shape that is known here.
type NewerError struct {
	Table, Key     string
	Version, Known int // of the schema
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("state: row %s of table %s has version %d, known here is %d", QuoteKey(e.Key), e.Table, e.Version, e.Known)
}

func (e *NewerError) Unwrap() error { return ErrNewer }

// RowError names the row that could not be converted or checked. The error behind it begins with what was done: up,
// check, down or compare.
type RowError struct {
	Table, Key string
	Err        error
}

func (e *RowError) Error() string {
	return fmt.Sprintf("state: row %s of table %s: %v", QuoteKey(e.Key), e.Table, e.Err)
}

func (e *RowError) Unwrap() error { return e.Err }
