package daemon

import (
	"context"
	"io"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// NewLogger makes the log of a keel or a daemon: hclog lines, as the services write them too.
func NewLogger(name, format, level string, out io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name: name, Level: hclog.LevelFromString(level), Output: out, JSONFormat: format == "json",
	})
}

// slogger gives the packages that write log/slog our log.
func slogger(log hclog.Logger) *slog.Logger { return slog.New(&handler{log: log}) }

// handler is a slog.Handler over hclog.
type handler struct {
	log    hclog.Logger
	prefix string // of keys, from groups
}

var _ slog.Handler = (*handler)(nil)

// Enabled leaves the choice to hclog.
func (h *handler) Enabled(_ context.Context, l slog.Level) bool {
	return h.log.GetLevel() <= levelOf(l)
}

// Handle writes one line.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	var args []any
	r.Attrs(func(a slog.Attr) bool {
		args = append(args, h.prefix+a.Key, a.Value.Resolve().Any())
		return true
	})
	h.log.Log(levelOf(r.Level), r.Message, args...)
	return nil
}

// WithAttrs adds to every line.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var args []any
	for _, a := range attrs {
		args = append(args, h.prefix+a.Key, a.Value.Resolve().Any())
	}
	return &handler{log: h.log.With(args...), prefix: h.prefix}
}

// WithGroup puts a name before the keys that follow.
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{log: h.log, prefix: h.prefix + name + "."}
}

func levelOf(l slog.Level) hclog.Level {
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
