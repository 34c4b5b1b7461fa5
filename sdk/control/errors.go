package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"syscall"
)

// ErrNoDaemon says that nobody listens on the socket of the instance. It comes wrapped in a *DialError.
var ErrNoDaemon = errors.New("control: no daemon")

// ErrLost says that the connection ended before the answer did. What was asked for may go on or be done.
var ErrLost = errors.New("control: the daemon went away before it had answered")

// DialError is a socket that could not be reached. It matches ErrNoDaemon.
type DialError struct {
	Dir    string // of the instance
	Socket string
	Err    error
}

// Error says which instance is meant, and why when it is not simply that nothing runs there.
func (e *DialError) Error() string {
	if e.absent() {
		return "no daemon is running in " + e.Dir
	}
	return fmt.Sprintf("cannot reach the daemon in %s: %v", e.Dir, e.Err)
}

// Hint says what an operator can do.
func (e *DialError) Hint() string {
	if errors.Is(e.Err, fs.ErrPermission) {
		return "use the account the daemon runs as, or root"
	}
	return "start it with: theseusd --dir " + e.Dir + "   (another instance: --dir DIR or " + EnvDir + ")"
}

// Unwrap makes the error ErrNoDaemon and its cause.
func (e *DialError) Unwrap() []error { return []error{ErrNoDaemon, e.Err} }

func (e *DialError) absent() bool {
	return errors.Is(e.Err, fs.ErrNotExist) || errors.Is(e.Err, syscall.ECONNREFUSED)
}

// reply is every error body that a daemon or a service sends.
type reply struct {
	Error
	Usage string `json:"usage"`
}

// answer reads the body of a failed request; a body that is no JSON becomes the message.
func answer(r *http.Response) reply {
	text, err := io.ReadAll(io.LimitReader(r.Body, maxError))
	var e reply
	if err != nil || json.Unmarshal(text, &e) != nil || e.Message == "" {
		e = reply{Error: Error{Message: strings.TrimSpace(string(text))}}
	}
	if e.Message == "" {
		e.Message = r.Status
	}
	if e.Code == "" {
		e.Code = "internal"
	}
	return e
}

// lost turns the end of a connection into ErrLost and leaves the caller's own end alone.
func lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
}
