// Package servetest has two groups change places on the same listeners, as the processes of two versions do.
package servetest

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Group is serve.Group, which this package cannot import: its own tests are among those that use this.
type Group interface {
	Pair(ctx context.Context, path string, listen bool) error
	Arm() error
	Park(ctx context.Context, budget time.Duration) error
	Finish() (int, error)
	Await(ctx context.Context) error
	Hangup()
	Unpair()
}

// Limit is for machines that do other things as well.
const Limit = 20 * time.Second

// Two are a group that serves and one that is to take over. Swap exchanges their names.
type Two[G Group] struct {
	T         testing.TB
	Now, Next G
	Addr      net.Addr // of the only listener, if NewTwo has made it
}

// NewTwo has two groups made and serve a listener, each in its own way; the first one serves.
func NewTwo[G Group](t testing.TB, now, next func(ln net.Listener) G) *Two[G] {
	t.Helper()
	ln := Listen(t)
	w := Start(t, now(Twin(t, ln)), next(Twin(t, ln)))
	w.Addr = ln.Addr()
	return w
}

// Start has the first of two groups serve, and pairs them.
func Start[G Group](t testing.TB, now, next G) *Two[G] {
	t.Helper()
	w := &Two[G]{T: t, Now: now, Next: next}
	t.Cleanup(func() { w.Now.Hangup(); w.Now.Unpair(); w.Next.Unpair() })
	Must(t, now.Arm())
	Join(t, now, next)
	return w
}

// Join pairs two groups.
func Join(t testing.TB, serving, standby Group) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pair")
	Must(t, serving.Pair(t.Context(), path, true))
	Must(t, standby.Pair(t.Context(), path, false))
}

// Swap hands everything from one group to the other, and exchanges their names.
func (w *Two[G]) Swap() {
	w.T.Helper()
	Must(w.T, w.Now.Park(context.Background(), 5*time.Second))
	w.Handover()
}

// Handover is Swap for a group that is parked.
func (w *Two[G]) Handover() {
	w.T.Helper()
	_, err := w.Now.Finish()
	Must(w.T, err)
	Must(w.T, w.Next.Await(context.Background()))
	Must(w.T, w.Next.Arm())
	w.Now, w.Next = w.Next, w.Now
}

// Listen is a listener for the time of the test.
func Listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	Must(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// Twin listens like ln, with a descriptor of its own, as two processes that inherited one listener do.
func Twin(t testing.TB, ln net.Listener) net.Listener {
	t.Helper()
	f, err := ln.(interface{ File() (*os.File, error) }).File()
	Must(t, err)
	defer f.Close()
	twin, err := net.FileListener(f)
	Must(t, err)
	t.Cleanup(func() { _ = twin.Close() })
	return twin
}

// Must ends the test if something went wrong.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Eventually waits for something that another goroutine is about to do.
func Eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	end, again := time.After(Limit), time.NewTicker(time.Millisecond)
	defer again.Stop()
	for !f() {
		select {
		case <-again.C:
		case <-end:
			t.Fatalf("never happened: %s", what)
		}
	}
}

// Next is what comes.
func Next[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(Limit):
		t.Fatal("nothing comes")
		panic("unreachable")
	}
}
