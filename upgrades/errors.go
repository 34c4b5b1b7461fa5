package upgrades

import (
	"errors"
	"fmt"
)

// Errors that an [Instance] answers with.
var (
	ErrGone = errors.New("upgrades: the process is gone")
	ErrBusy = errors.New("upgrades: what is in hand did not end within the budget")
)

// ErrClosed ends an upgrade that was left where it stood because the engine was closed; Recover of the next engine
// resolves it.
var ErrClosed = errors.New("upgrades: the engine is closed")

// RowError names the row that has no way to another version or back.
type RowError struct {
	Table  string
	Key    string // for people: in quotes, cut if it is long
	Reason string // begins with what was done: up, check, down or compare
}

func (e *RowError) Error() string {
	return fmt.Sprintf("row %s of table %s: %s", e.Key, e.Table, e.Reason)
}

// StepError says at which step of which service an upgrade failed.
type StepError struct {
	Service, Step string
	Hint          string // what an operator can do; may be empty
	Err           error
}

func (e *StepError) Error() string {
	if e.Service == "" {
		return fmt.Sprintf("%s: %v", e.Step, e.Err)
	}
	return fmt.Sprintf("%s: %s: %v", e.Service, e.Step, e.Err)
}

func (e *StepError) Unwrap() error { return e.Err }
