package supervise

import (
	"errors"
	"fmt"
)

// Why a child ended is an error. Nil is normal; ErrShutdown and a *ShutdownError are orders that were followed;
// anything else is a crash.
var (
	ErrShutdown = errors.New("shutdown")
	ErrKilled   = errors.New("killed")
)

// ErrIgnore, returned by Start, means that there is nothing to run now: no failure, and no child.
var ErrIgnore = errors.New("ignore")

// ShutdownError is OTP's {shutdown, Detail}: an orderly end that says more. errors.Is finds ErrShutdown in it.
type ShutdownError struct{ Detail error }

func (e *ShutdownError) Error() string        { return "shutdown: " + e.Detail.Error() }
func (e *ShutdownError) Unwrap() error        { return e.Detail }
func (e *ShutdownError) Is(target error) bool { return target == ErrShutdown }

// PanicError is the reason of a goroutine that panicked, and the error of a Start that did.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap is the panic's value if that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// FormatReason spells a reason; nil is normal.
func FormatReason(reason error) string {
	if reason == nil {
		return "normal"
	}
	return reason.Error()
}

// cause is what the rules can tell of a reason.
type cause uint8

const (
	causeNormal cause = iota
	causeShutdown
	causeShutdownWith
	causeKilled
	causeCrash
)

// causeOf looks at the outermost shutdown first: a supervisor that gave up was shut down, whatever crashed below it.
func causeOf(reason error) cause {
	var with *ShutdownError
	switch {
	case reason == nil:
		return causeNormal
	case errors.As(reason, &with):
		return causeShutdownWith
	case errors.Is(reason, ErrShutdown):
		return causeShutdown
	case errors.Is(reason, ErrKilled):
		return causeKilled
	}
	return causeCrash
}

// restartDue says whether a child that ended by itself is started again.
func restartDue(r Restart, reason error) bool {
	switch r {
	case Permanent:
		return true
	case Transient:
		return causeOf(reason) >= causeKilled
	}
	return false
}

// endIsReported says whether OTP would write an error report about a child that ended by itself.
func endIsReported(r Restart, reason error) bool {
	return r == Permanent || causeOf(reason) >= causeKilled
}

// stopIsReported says the same of a child that was told to end, and ended with reason.
func stopIsReported(c *ChildSpec, reason error) bool {
	switch causeOf(reason) {
	case causeShutdown:
		return c.Shutdown == BrutalKill && c.Restart == Permanent
	case causeKilled:
		return c.Shutdown != BrutalKill
	case causeNormal, causeShutdownWith:
		return c.Restart == Permanent
	}
	return true
}
