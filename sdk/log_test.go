package sdk

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
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
