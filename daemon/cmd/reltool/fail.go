package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/theseusd/theseus/sdk/control"
)

// hinted is an error with a word on what to do about it.
type hinted struct {
	err  error
	hint string
}

func (h *hinted) Error() string { return h.err.Error() }
func (h *hinted) Unwrap() error { return h.err }

// usageError is a wrong call that cobra could not know.
type usageError struct {
	text string
	hint string // "see: reltool --help" if empty
}

func (u *usageError) Error() string { return u.text }

// fail says what happened, what is running now and what to do, as text or as one line of JSON, and returns the exit code.
func (t *tool) fail(err error) int {
	var usage *usageError
	if !t.started && !errors.As(err, &usage) {
		err = &usageError{text: err.Error()} // cobra's
	}
	e := asError(err)
	if t.json {
		enc := json.NewEncoder(t.err)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(e)
	} else {
		t.say(e.Message, label("running now: ", e.Running), e.Hint)
	}
	switch e.Code {
	case control.CodeUsage:
		return wrongUsage
	case control.CodeNoDaemon:
		return unreachable
	}
	return failed
}

// asError is an error with its code: the daemon's, or one of ours.
func asError(err error) *control.Error {
	var dial *control.DialError
	var no *control.Error
	var tip *hinted
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		return &control.Error{Code: control.CodeUsage, Message: err.Error(), Hint: cmp.Or(usage.hint, "see: reltool --help")}
	case errors.As(err, &dial):
		return &control.Error{Code: control.CodeNoDaemon, Message: dial.Error(), Hint: dial.Hint()}
	case errors.As(err, &no):
		e := *no
		e.Message = err.Error()
		return &e
	case errors.Is(err, control.ErrLost):
		e := &control.Error{Code: control.CodeLost, Message: err.Error()}
		if errors.As(err, &tip) {
			e.Hint = tip.hint
		}
		return e
	case errors.As(err, &tip):
		return &control.Error{Code: control.CodeFailed, Message: tip.Error(), Hint: tip.hint}
	}
	return &control.Error{Code: control.CodeFailed, Message: err.Error()}
}

// say prints to stderr, the first line under the program's name. Code of several lines stays as it is, so that it can
// be copied.
func (t *tool) say(texts ...string) {
	first := "reltool: "
	for _, text := range texts {
		if text = strings.TrimRight(text, "\n"); text == "" {
			continue
		}
		if strings.Contains(text, "\n") && first == "" {
			text = "\n" + text + "\n"
		}
		fmt.Fprintf(t.err, "%s%s\n", first, text)
		first = ""
	}
}

// hint prints advice to stderr, when a person is there to read it.
func (t *tool) hint(text string) {
	if t.out.terminal && !t.json {
		fmt.Fprintln(t.err, text)
	}
}
