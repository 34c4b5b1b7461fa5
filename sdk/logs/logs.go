// Package logs writes log/slog, which is what code writes, as lines of hclog, which is what the daemon and its services
// speak with each other.
package logs

import (
	"context"
	"io"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// New makes a log that has lines from a level on, as text or JSON.
func New(name, format, level string, out io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name: name, Level: hclog.LevelFromString(level), Output: out, JSONFormat: format == "json",
	})
}

// Slog gives those who write log/slog a log.
func Slog(log hclog.Logger) *slog.Logger { return slog.New(&handler{log: log}) }

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
	args := make([]any, 0, 2*r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		args = h.flatten(args, a)
		return true
	})
	h.log.Log(levelOf(r.Level), r.Message, args...)
	return nil
}

// WithAttrs adds to every line.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var args []any
	for _, a := range attrs {
		args = h.flatten(args, a)
	}
	return &handler{log: h.log.With(args...), prefix: h.prefix}
}

// WithGroup puts a name before the keys that follow.
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{log: h.log, prefix: h.prefix + name + "."}
}

func (h *handler) flatten(args []any, a slog.Attr) []any {
	v := a.Value.Resolve()
	if v.Kind() != slog.KindGroup {
		return append(args, h.prefix+a.Key, v.Any())
	}
	group := &handler{prefix: h.prefix + a.Key + "."}
	for _, inner := range v.Group() {
		args = group.flatten(args, inner)
	}
	return args
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
