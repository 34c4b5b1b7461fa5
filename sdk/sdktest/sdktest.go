// Package sdktest runs a service in a test: within the test's process, on real sockets, with its state in a
// temporary directory, and without a daemon.
package sdktest

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/theseusd/theseus/sdk"
)

// Instance is a service that runs in a test.
type Instance struct {
	t         testing.TB
	o         Options
	dir       string
	addresses map[string]string
	listeners map[string]net.Listener
	local     *sdk.Local
}

// Options of Start; the zero value is a new service with an empty state.
type Options struct {
	StateDir string // an earlier instance's StateDir, to see what outlives it; t.TempDir() if empty
	Config   string // JSON
}

// Start runs s until the test ends. Every listener that s declares gets a free port of 127.0.0.1.
func Start(t testing.TB, s sdk.Service, o Options) *Instance {
	t.Helper()
	if o.StateDir == "" {
		o.StateDir = t.TempDir()
	}
	d, err := sdk.Describe(s)
	if err != nil {
		t.Fatalf("describe %s: %v", s.Name, err)
	}
	i := &Instance{t: t, o: o, dir: o.StateDir, addresses: map[string]string{}}
	i.local, err = sdk.StartLocal(t.Context(), s, sdk.LocalOptions{
		StateDir: o.StateDir, Config: []byte(o.Config), Listeners: i.listen(d.Listeners),
		Log: testLog(),
	})
	if err != nil {
		t.Fatalf("start %s: %v", s.Name, err)
	}
	t.Cleanup(i.local.Close)
	return i
}

func (i *Instance) listen(names []string) map[string]net.Listener {
	m := map[string]net.Listener{}
	for _, name := range names {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			i.t.Fatal(err)
		}
		m[name], i.addresses[name] = ln, ln.Addr().String()
		i.t.Cleanup(func() { _ = ln.Close() })
	}
	i.listeners = m
	return m
}

// Next starts s beside the instance, as its next version: on the same state and the same addresses, and not serving
// until HandOver.
func (i *Instance) Next(s sdk.Service) *Instance {
	i.t.Helper()
	next := &Instance{t: i.t, o: i.o, dir: i.dir, addresses: i.addresses, listeners: map[string]net.Listener{}}
	for name, ln := range i.listeners {
		f, err := ln.(*net.TCPListener).File()
		if err != nil {
			i.t.Fatal(err)
		}
		if next.listeners[name], err = net.FileListener(f); err != nil {
			i.t.Fatal(err)
		}
		_ = f.Close()
		i.t.Cleanup(func() { _ = next.listeners[name].Close() })
	}
	var err error
	next.local, err = i.local.Follow(i.t.Context(), s, filepath.Join(i.t.TempDir(), "pair"), sdk.LocalOptions{
		StateDir: i.dir, Config: []byte(i.o.Config), Listeners: next.listeners, Log: testLog(),
	})
	if err != nil {
		i.t.Fatalf("start %s beside it: %v", s.Name, err)
	}
	i.t.Cleanup(next.local.Close)
	return next
}

// HandOver makes next serve instead of the instance, on the same connections: an upgrade, or the way back.
func (i *Instance) HandOver(next *Instance) {
	i.t.Helper()
	if err := i.local.HandOver(i.t.Context(), next.local, nil); err != nil {
		i.t.Fatalf("hand over: %v", err)
	}
}

// Addr is where the listener of that name serves.
func (i *Instance) Addr(listener string) string { return i.addresses[listener] }

// StateDir is where the state log lies.
func (i *Instance) StateDir() string { return i.dir }

// Verb calls a verb and fails the test if the verb does.
func (i *Instance) Verb(name string, args ...string) string {
	i.t.Helper()
	out, err := i.local.Verb(i.t.Context(), name, args...)
	if err != nil {
		i.t.Fatalf("%s %q: %v", name, args, err)
	}
	return out
}

// VerbError calls a verb that should fail and returns its error.
func (i *Instance) VerbError(name string, args ...string) error {
	_, err := i.local.Verb(i.t.Context(), name, args...)
	return err
}

// VerbFails calls a verb that should fail and returns what it has printed all the same.
func (i *Instance) VerbFails(name string, args ...string) string {
	i.t.Helper()
	out, err := i.local.Verb(i.t.Context(), name, args...)
	if err == nil {
		i.t.Fatalf("%s %q did not fail: %s", name, args, out)
	}
	return out
}

// Health runs the service's health checks.
func (i *Instance) Health() error { return i.local.Health(i.t.Context()) }

// Stop ends the service now, in order; the test may start another one on its StateDir.
func (i *Instance) Stop() { i.local.Close() }

// testLog says nothing unless the test is run with -v: what a service logs while it ends may come after the test.
func testLog() *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}
