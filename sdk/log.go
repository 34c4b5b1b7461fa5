package sdk

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"github.com/theseusd/theseus/sdk/wire"
)

// newLogger makes the process's logger: hclog lines in the format that the daemon asks for.
func newLogger(name string, w io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name:       name,
		Level:      hclog.LevelFromString(os.Getenv(wire.EnvLogLevel)),
		Output:     w,
		JSONFormat: os.Getenv(wire.EnvLogFormat) == "json",
	})
}

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

// hclogHandler lets authors write log/slog and the daemon read hclog.
type hclogHandler struct {
	log    hclog.Logger
	prefix string
}

var _ slog.Handler = (*hclogHandler)(nil)

func (h *hclogHandler) Enabled(_ context.Context, l slog.Level) bool {
	return h.log.GetLevel() <= hclogLevel(l)
}

func (h *hclogHandler) Handle(_ context.Context, r slog.Record) error {
	args := make([]any, 0, 2*r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		args = h.flatten(args, a)
		return true
	})
	h.log.Log(hclogLevel(r.Level), r.Message, args...)
	return nil
}

func (h *hclogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var args []any
	for _, a := range attrs {
		args = h.flatten(args, a)
	}
	return &hclogHandler{log: h.log.With(args...), prefix: h.prefix}
}

func (h *hclogHandler) WithGroup(name string) slog.Handler {
	return &hclogHandler{log: h.log, prefix: h.prefix + name + "."}
}

func (h *hclogHandler) flatten(args []any, a slog.Attr) []any {
	v := a.Value.Resolve()
	if v.Kind() != slog.KindGroup {
		return append(args, h.prefix+a.Key, v.Any())
	}
	group := &hclogHandler{prefix: h.prefix + a.Key + "."}
	for _, inner := range v.Group() {
		args = group.flatten(args, inner)
	}
	return args
}

func hclogLevel(l slog.Level) hclog.Level {
	switch {
	case l < slog.LevelDebug:
		return hclog.Trace
	case l < slog.LevelInfo:
		return hclog.Debug
	case l < slog.LevelWarn:
		return hclog.Info
	case l < slog.LevelError:
		return hclog.Warn
	}
	return hclog.Error
}
