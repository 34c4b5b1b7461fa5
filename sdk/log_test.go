package sdk

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/go-hclog"
)

// stuckWriter takes nothing until it is opened.
type stuckWriter struct {
	open chan struct{}
	mu   sync.Mutex
	buf  bytes.Buffer
}

func (w *stuckWriter) Write(p []byte) (int, error) {
	<-w.open
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Write(p)
}

func TestLogNeverWaitsForItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stuckWriter{open: make(chan struct{})}
		l := newLineWriter(w)
		for range 10_000 {
			_, _ = l.Write([]byte("line\n"))
		}
		close(w.open)
		synctest.Wait()
		_, _ = l.Write([]byte("last\n"))
		synctest.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		text := w.buf.String()
		if !strings.Contains(text, "log lines were dropped") || !strings.HasSuffix(text, "last\n") {
			t.Errorf("%d bytes, ending in %q", len(text), text[max(0, len(text)-80):])
		}
		close(l.lines)
	})
}

func TestSlogComesOutAsHclog(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(&hclogHandler{log: hclog.New(&hclog.LoggerOptions{Name: "visits", Output: &out, Level: hclog.Info})})
	log.Debug("not this")
	log.With("a", 1).WithGroup("g").Warn("careful", slog.Group("h", "b", 2), "c", "x y")
	for _, want := range []string{"[WARN]", "visits: careful:", "a=1", "g.h.b=2", `g.c="x y"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q lacks %q", out.String(), want)
		}
	}
	if strings.Contains(out.String(), "not this") {
		t.Error("debug came out at level info")
	}
}
