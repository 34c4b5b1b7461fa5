package supervise

import (
	"context"
	"errors"
	"fmt"
)

// Reasons for which a child ends. No error at all is normal too; an error that wraps ErrShutdown is {shutdown, Term}.
var (
	ErrNormal   = errors.New("normal")
	ErrShutdown = errors.New("shutdown")
	ErrKilled   = errors.New("killed")
)

// ErrIgnore is what Start answers when there is nothing to run. The child counts as terminated.
var ErrIgnore = errors.New("ignore")

// ErrHandover, as the cause with which the context of a supervisor ends, has it let its children go on without it where
// they can: another one, in another version of the program, takes them over by starting them. Goroutines end.
var ErrHandover = fmt.Errorf("another version takes over: %w", ErrShutdown)

// ErrAborted is why the children of a supervisor are stopped that does not come up. What it had taken over is let go, as
// for ErrHandover; what it had started ends.
var ErrAborted = fmt.Errorf("the supervisor does not come up: %w", ErrShutdown)

// Errors of a supervisor's methods.
var (
	ErrNotRunning     = errors.New("supervise: the supervisor does not run")
	ErrAlreadyStarted = errors.New("supervise: a child of this ID runs already")
	ErrAlreadyPresent = errors.New("supervise: a child of this ID is there already, and does not run")
	ErrNotFound       = errors.New("supervise: there is no such child")
	ErrRunning        = errors.New("supervise: the child runs")
	ErrRestarting     = errors.New("supervise: the child is being restarted")
	ErrMaxChildren    = errors.New("supervise: there are as many children as there may be")
	ErrDynamic        = errors.New("supervise: children of a dynamic supervisor are not restarted or deleted by hand")
)

// ErrIntensity is why a supervisor ends whose children failed too often. It is a shutdown: a parent that has it as a
// transient child does not start it again, as in OTP.
var ErrIntensity = fmt.Errorf("reached maximum restart intensity: %w", ErrShutdown)

// ErrAutoShutdown is why a supervisor ends with its significant children.
var ErrAutoShutdown = fmt.Errorf("significant children have ended: %w", ErrShutdown)

// StartError says which child did not start. Those before it were stopped again.
type StartError struct {
	ID  string
	Err error
}

func (e *StartError) Error() string { return fmt.Sprintf("supervise: start of %q: %v", e.ID, e.Err) }

// Unwrap gives the child's own error.
func (e *StartError) Unwrap() error { return e.Err }

// PanicError is the reason of a goroutine that panicked.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// orderly is true for the reasons that are no failure: normal, shutdown and {shutdown, Term}.
func orderly(reason error) bool {
	return reason == nil || errors.Is(reason, ErrNormal) || errors.Is(reason, ErrShutdown)
}

// reasonOf is why a context ended, in the words of this package.
func reasonOf(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, context.Canceled) {
		return ErrShutdown
	}
	return cause
}

// parting is true for reasons for which a child may go on without its supervisor: it is asked, even one that is otherwise
// killed.
func parting(reason error) bool {
	return errors.Is(reason, ErrHandover) || errors.Is(reason, ErrAborted)
}
