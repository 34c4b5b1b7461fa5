package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/theseusd/theseus/sdk/control"
)

// display shows what a service says, as it comes.
type display struct {
	call     *call
	files    files
	stop     context.CancelCauseFunc // of the call, when nothing more can be shown
	progress bool                    // a line of progress is on the terminal
	notes    []string                // what is to be said when the verb is done
	exec     *control.Exec           // what is to be done then
	goOn     *control.GoOn           // likewise
	broken   bool                    // nothing more can be shown
	open     bool                    // what was printed last has no end of a line
}

func (d *display) see(s control.Said) {
	var err error
	d.call.lost.answered(s)
	switch {
	case d.broken:
	case s.Note != "":
		d.notes = append(d.notes, s.Note)
	case s.Exec != nil:
		d.exec = s.Exec
	case s.GoOn != nil:
		d.goOn = s.GoOn
	case s.Flag != "":
		err = d.files.write(s.Flag, s.File)
	case s.Out != "":
		d.clear()
		d.open = !strings.HasSuffix(s.Out, "\n")
		_, err = io.WriteString(d.call.out, s.Out)
	case s.Progress != "" && terminal(d.call.err):
		d.clear()
		d.progress = true
		_, err = io.WriteString(d.call.err, s.Progress)
	}
	if err != nil {
		d.broken = true
		d.stop(err)
	}
}

// clear takes the line of progress away.
func (d *display) clear() {
	if d.progress {
		_, _ = io.WriteString(d.call.err, "\r\x1b[K")
		d.progress = false
	}
}

// end ends the last line.
func (d *display) end() {
	d.clear()
	if d.open {
		fmt.Fprintln(d.call.out)
	}
}

// terminal is true for a terminal.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// coloured is true for a terminal that shows colours, unless NO_COLOR is set.
func coloured(w io.Writer) bool {
	return terminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
