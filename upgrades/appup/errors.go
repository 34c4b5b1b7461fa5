package appup

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrNoAppup is wrapped by every *NoAppupError.
var ErrNoAppup = errors.New("no appup between these versions")

// ParseError says where in a manifest something is wrong, and what.
type ParseError struct {
	File   string
	Line   int    // from 1; 0 if it belongs to no line
	Column int    // from 1, in bytes
	What   string // without the position
	Hint   string // what to write instead; may be empty
	Source string // the line itself
}

// Error is the message of Short, the line, and a caret under the column.
func (e *ParseError) Error() string {
	if e.Line == 0 {
		return e.Short()
	}
	number := strconv.Itoa(e.Line)
	return fmt.Sprintf("%s\n  %s | %s\n  %*s | %s^", e.Short(), number, e.Source, len(number), "", e.indent())
}

// String is what Error is.
func (e *ParseError) String() string { return e.Error() }

// Short is the message in one line: file:line:column: what; hint.
func (e *ParseError) Short() string {
	text := e.What
	if e.Line > 0 {
		text = fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, text)
	} else if e.File != "" {
		text = e.File + ": " + text
	}
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// indent is as wide on a terminal as what stands before the column.
func (e *ParseError) indent() string {
	before := e.Source[:min(max(e.Column-1, 0), len(e.Source))]
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, before)
}

// NoAppupError says that the newer of two versions does not know the way to or from the older one.
type NoAppupError struct {
	Service, From, To string
	Down              bool
	Known             []string // the ranges that the newer version does know in this direction
	Via               []string // the versions between the two whose manifests were asked as well
	Hint              string   // the section to write, and where
}

func (e *NoAppupError) Error() string {
	newer, dir, word, section := e.To, "up", "from", "[[up]]"
	if e.Down {
		newer, dir, word, section = e.From, "down", "to", "[[down]]"
	}
	head := fmt.Sprintf("%s: no way %s from %s to %s", e.Service, dir, e.From, e.To)
	switch {
	case e.From == e.To:
		return fmt.Sprintf("%s %s is there already: another package needs another version", e.Service, e.To)
	case len(e.Known) == 0:
		return fmt.Sprintf("%s: the manifest of %s has no %s section", head, newer, section)
	}
	text := fmt.Sprintf("%s: %s knows the way %s %s", head, newer, word, strings.Join(e.Known, ", "))
	if len(e.Via) > 0 {
		text += ", and none leads there through " + strings.Join(e.Via, ", ")
	}
	return text
}

func (e *NoAppupError) Unwrap() error { return ErrNoAppup }

// Hint is what an error of Compile says to do; it is empty for any other.
func Hint(err error) string {
	var none *NoAppupError
	var open *UncoveredError
	var dropped *DroppedError
	switch {
	case errors.As(err, &none):
		return none.Hint
	case errors.As(err, &open):
		return open.Hint
	case errors.As(err, &dropped):
		return dropped.Hint
	}
	return ""
}

// WithHint puts other advice into an error of Compile: whoever asks knows that the newer version cannot be changed any
// more. Any other error stays as it is.
func WithHint(err error, hint string) error {
	var none *NoAppupError
	var open *UncoveredError
	var dropped *DroppedError
	switch {
	case errors.As(err, &none):
		none.Hint = hint
	case errors.As(err, &open):
		open.Hint = hint
	case errors.As(err, &dropped):
		dropped.Hint = hint
	}
	return err
}

// UncoveredError says that the schema of a table has changed and that the newer version cannot convert its rows.
type UncoveredError struct {
	Service, Table string
	From, To       int // schema versions, the older and the newer one
	Reason         string
	Hint           string // the Go code to write
}

func (e *UncoveredError) Error() string {
	return fmt.Sprintf("%s: table %s: %s", e.Service, e.Table, e.Reason)
}

// DroppedError says that the newer version has lost a table, a verb, a listener or the address of one without saying so.
type DroppedError struct {
	Service    string
	What, Name string    // table, verb or listener; its name
	From, To   string    // versions of the service
	Moved      [2]string // addresses of a listener that is there still, the older and the newer one
	Line       string    // the line of the manifest to write
	Hint       string    // where, and that line
}

func (e *DroppedError) Error() string {
	if e.Moved != [2]string{} && e.Moved[1] != "" {
		return fmt.Sprintf("%s: %s has the listener %s at %s, no longer at %s, and its manifest does not drop the old one",
			e.Service, e.To, e.Name, e.Moved[1], e.Moved[0])
	}
	return fmt.Sprintf("%s: %s has no %s %s any more, and its manifest does not drop it", e.Service, e.To, e.What, e.Name)
}
