package otp

import (
	"context"
	"errors"
	"slices"
)

// told is an error on its way to another version: its text, which of the known errors it is, and what it wraps if it is
// an Exit.
type told struct {
	Text   string   `cbor:"text"`
	Is     []string `cbor:"is,omitempty"`
	Exit   bool     `cbor:"exit,omitempty"`
	PID    PID      `cbor:"pid,omitempty"`
	Reason *told    `cbor:"reason,omitempty"`
}

var known = map[string]error{
	"normal": ErrNormal, "shutdown": ErrShutdown, "killed": ErrKilled, "noproc": ErrNoProc, "ignore": ErrIgnore,
	"overloaded": ErrOverloaded, "call_self": ErrCallSelf, "deadlock": ErrDeadlock, "no_handler": ErrNoHandler,
	"suspended": ErrSuspended, "taken": ErrTaken, "asleep": ErrAsleep,
	"timeout": context.DeadlineExceeded, "canceled": context.Canceled,
}

func tell(err error) *told {
	if err == nil {
		return nil
	}
	if e, ok := err.(*Exit); ok {
		return &told{Text: err.Error(), Exit: true, PID: e.PID, Reason: tell(e.Reason)}
	}
	t := &told{Text: err.Error()}
	for name, k := range known {
		if errors.Is(err, k) {
			t.Is = append(t.Is, name)
		}
	}
	slices.Sort(t.Is)
	return t
}

// err is the error again, as far as another version can know it: known errors are themselves, others have the text and
// are what they were for errors.Is.
func (t *told) err() error {
	switch {
	case t == nil:
		return nil
	case t.Exit:
		return &Exit{PID: t.PID, Reason: t.Reason.err()}
	}
	for _, name := range t.Is {
		if k := known[name]; k != nil && k.Error() == t.Text {
			return k
		}
	}
	return &hearsay{t}
}

type hearsay struct{ told *told }

func (h *hearsay) Error() string { return h.told.Text }

// Is is true for the known errors that the original was.
func (h *hearsay) Is(target error) bool {
	return slices.ContainsFunc(h.told.Is, func(name string) bool { return known[name] == target })
}
