package main

import (
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
type usageError struct{ text string }

func (u *usageError) Error() string { return u.text }

// fail says what happened, what is running now and what to do, and returns the exit code.
func (t *tool) fail(err error) int {
	var dial *control.DialError
	var no *control.Error
	var tip *hinted
	var usage *usageError
	switch {
	case !t.started || errors.As(err, &usage):
		t.say(err.Error(), "see: reltool --help")
		return wrongUsage
	case errors.As(err, &dial):
		t.say(dial.Error(), dial.Hint())
		return unreachable
	case errors.As(err, &no):
		t.say(err.Error(), t.running(no), no.Hint)
	case errors.As(err, &tip):
		t.say(tip.Error(), tip.hint)
	default:
		t.say(err.Error())
	}
	return failed
}

func (t *tool) running(e *control.Error) string {
	if e.Running == "" {
		return ""
	}
	return "running now: " + e.Running
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
