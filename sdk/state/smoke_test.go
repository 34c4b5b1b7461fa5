package state

import (
	"context"
	"testing"
)

func TestSmoke(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	tab := NewTable(s, "kv", Schema[[]byte]{})
	if _, err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := tab.Put("a", []byte("b")); err != ErrNotWriter {
		t.Fatal(err)
	}
	if _, err := s.Activate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Follow(ctx) }()
	if err := tab.Put("a", []byte("b")); err != nil {
		t.Fatal(err)
	}
	if v, ok := tab.Get("a"); !ok || string(v) != "b" {
		t.Fatal(v, ok)
	}
	stop()
	t.Log(<-done)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
