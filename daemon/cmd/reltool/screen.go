package main

import (
	"encoding/json"
	"io"
	"os"

	"golang.org/x/term"
)

// screen is where answers go, and what it can show.
type screen struct {
	io.Writer
	terminal bool // lines may be redrawn
	colour   bool
	width    int
}

// newScreen looks at f: only a terminal gets redrawn lines and colours, and no colours if NO_COLOR is set.
func newScreen(f *os.File) screen {
	fd := int(f.Fd())
	s := screen{Writer: f, terminal: term.IsTerminal(fd), width: 100}
	if w, _, err := term.GetSize(fd); err == nil && w > 20 {
		s.width = w
	}
	s.colour = s.terminal && coloured(os.Getenv)
	return s
}

// coloured is what the environment says of colours on a terminal.
func coloured(env func(string) string) bool { return env("NO_COLOR") == "" && env("TERM") != "dumb" }

// ink is a colour of a terminal.
type ink string

// The inks in use.
const (
	red    ink = "\x1b[31m"
	green  ink = "\x1b[32m"
	yellow ink = "\x1b[33m"
	bold   ink = "\x1b[1m"
	dim    ink = "\x1b[2m"
)

// paint colours text if the screen can.
func (s screen) paint(i ink, text string) string {
	if !s.colour || i == "" || text == "" {
		return text
	}
	return string(i) + text + "\x1b[0m"
}

// json prints v, indented.
func (s screen) json(v any) error {
	e := json.NewEncoder(s)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
