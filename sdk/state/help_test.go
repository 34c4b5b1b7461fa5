package state

import (
	"context"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// openBytes opens a store with one table of bytes, "kv".
func openBytes(tb testing.TB, dir string, o Options) (*Store, *Table[[]byte]) {
	tb.Helper()
	s := open(tb, dir, o)
	return s, NewTable(s, "kv", Schema[[]byte]{Name: "blob"})
}

func open(tb testing.TB, dir string, o Options) *Store {
	tb.Helper()
	if o.Logger == nil {
		o.Logger = quiet
	}
	s, err := Open(dir, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return s
}

// activate loads and activates.
func activate(tb testing.TB, s *Store) {
	tb.Helper()
	if _, err := s.Load(context.Background()); err != nil {
		tb.Fatal(err)
	}
	if _, err := s.Activate(context.Background(), nil); err != nil {
		tb.Fatal(err)
	}
}

// keep runs Follow until the test ends.
func keep(tb testing.TB, s *Store) {
	tb.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Follow(ctx) }()
	tb.Cleanup(func() {
		stop()
		if err := <-done; err != context.Canceled {
			tb.Errorf("follow: %v", err)
		}
	})
}

// await waits until the condition holds.
func await(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("%s: not within 10 s", what)
		}
	}
}

// awaitSpare waits until the store has a segment ready for its next epoch.
func awaitSpare(tb testing.TB, s *Store) {
	tb.Helper()
	await(tb, "a spare segment", func() bool {
		s.w.mu.Lock()
		defer s.w.mu.Unlock()
		return s.w.spare != nil
	})
}

var noContext = context.Background()

// memDir is a directory in memory where there is one, for tests that make very many logs.
func memDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "state")
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
