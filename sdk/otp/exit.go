package otp

import (
	"errors"
	"fmt"

	"github.com/theseusd/theseus/sdk/supervise"
)

// Reasons for which a process ends; those of package supervise.
var (
	ErrNormal   = supervise.ErrNormal
	ErrShutdown = supervise.ErrShutdown
	ErrKilled   = supervise.ErrKilled
	ErrNoProc   = errors.New("noproc")
	ErrGoexit   = errors.New("otp: a handler has ended its goroutine") // with runtime.Goexit; so does FailNow of a test
)

// ErrIgnore is what Init answers when there is nothing to run: the process does not come to be, and that is no failure.
var ErrIgnore = supervise.ErrIgnore

// Errors of calls and casts.
var (
	ErrOverloaded = errors.New("otp: the mailbox is full")
	ErrCallSelf   = errors.New("otp: a process cannot call itself")
	ErrDeadlock   = errors.New("otp: these processes wait for each other")
	ErrNoHandler  = errors.New("otp: the behaviour has no handler for this message")
	ErrSuspended  = errors.New("otp: only a suspended process can do that")
	ErrTaken      = errors.New("otp: the name is taken")
	ErrAsleep     = errors.New("otp: the processes run in another version of the service, or not yet")
)

// Exit is the end of a process, as those see it who wait for it.
type Exit struct {
	PID    PID
	Reason error
	Stack  []byte // of a panic
}

func (e *Exit) Error() string { return fmt.Sprintf("process %s: %v", e.PID, e.Reason) }

// Unwrap gives the reason.
func (e *Exit) Unwrap() error { return e.Reason }

// orderly is true for reasons that are no crash.
func orderly(reason error) bool {
	return reason == nil || errors.Is(reason, ErrNormal) || errors.Is(reason, ErrShutdown)
}

// orNormal is the reason of an exit without one.
func orNormal(reason error) error {
	if reason == nil {
		return ErrNormal
	}
	return reason
}

// PanicError is the reason of a process whose handler panicked.
type PanicError = supervise.PanicError

// What a handler returns to steer its own process; any other error is the answer to the caller.
type (
	stopping struct{ reason error }
	idling   struct{ after int64 } // nanoseconds
	going    struct{ message any }
)

func (s *stopping) Error() string { return fmt.Sprintf("stop: %v", s.reason) }
func (i *idling) Error() string   { return "idle timeout" }
func (g *going) Error() string    { return "continue" }

// Stop ends the process after the reply, if there is one. A nil reason is ErrNormal.
func Stop(reason error) error { return &stopping{orNormal(reason)} }

// Continue has the process handle message before all that waits.
func Continue(message any) error { return &going{message} }
