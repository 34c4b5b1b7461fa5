package sdk

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
)

// lineWriter passes whole writes on from one goroutine, so that a reader who is slow or gone costs lines and never
// time. What was dropped is counted and said as soon as there is room.
type lineWriter struct {
	lines   chan []byte
	dropped atomic.Uint64
}

func newLineWriter(w io.Writer) *lineWriter {
	l := &lineWriter{lines: make(chan []byte, 4096)}
	go l.run(w)
	return l
}

func (l *lineWriter) Write(p []byte) (int, error) {
	select {
	case l.lines <- append([]byte(nil), p...):
	default:
		l.dropped.Add(1)
	}
	return len(p), nil
}

func (l *lineWriter) run(w io.Writer) {
	for line := range l.lines {
		if n := l.dropped.Swap(0); n > 0 {
			_, _ = fmt.Fprintf(w, "theseus: %d log lines were dropped, nobody read them\n", n)
		}
		_, _ = w.Write(line) // a reader that is gone is no reason to stop
	}
}

// captureStdio sends what the program prints to the log, a line each, and so never waits for a reader.
// go-plugin had pointed both at a pipe that fills up while no daemon is attached.
func captureStdio(log *slog.Logger) error {
	for name, file := range map[string]**os.File{"stdout": &os.Stdout, "stderr": &os.Stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			return fmt.Errorf("sdk: %s: %w", name, err)
		}
		*file = w
		go logLines(log.With("from", name), r)
	}
	return nil
}

// logLines reads lines of any length for ever; one over 64 KiB comes out in parts.
func logLines(log *slog.Logger, r io.Reader) {
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		line, _, err := in.ReadLine()
		if err != nil {
			return
		}
		log.Info(string(line))
	}
}
