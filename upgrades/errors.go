package upgrades

import (
	"errors"
	"fmt"
)

// Errors that an [Instance] answers with.
var (
	ErrGone = errors.New("the process is gone")
	ErrBusy = errors.New("upgrades: what is in hand did not end within the budget")
	// ErrUnpaired says that no other process takes the connections.
	ErrUnpaired = errors.New("upgrades: the connections cannot be handed over")
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

// ListenError says which socket a [Host] could not open.
type ListenError struct {
	Name, Address string
	Err           error
}

func (e *ListenError) Error() string {
	return fmt.Sprintf("listener %q at %s: %v", e.Name, e.Address, e.Err)
}
func (e *ListenError) Unwrap() error { return e.Err }

// Hint says what an operator can do.
func (e *ListenError) Hint(service string) string {
	return fmt.Sprintf("free %s, or write another address into theseus.toml, as service.%s.listen.%s, and: reltool build",
		e.Address, service, e.Name)
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

// died says that a process of a version has ended, and how if its [Host] knows: an Instance may have a method Exit that
// answers "signal: killed" or "exit status 1".
func died(version string, in Instance) error {
	if x, ok := in.(interface{ Exit() string }); ok && x.Exit() != "" {
		return fmt.Errorf("%s: %w (%s)", version, ErrGone, x.Exit())
	}
	return fmt.Errorf("%s: %w", version, ErrGone)
}
