package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/plugins/breaker/internal/circuit"
	"github.com/theseusd/theseus/sdk/clock"
	"github.com/theseusd/theseus/sdk/state"
)

// openBreakers is the circuits over a log in dir, without a process around them.
func openBreakers(t *testing.T, dir string, o state.Options, own circuit.Settings) *breakers {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	s, err := state.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	b := newBreakers(s, config{Default: own}, o.Logger)
	if _, err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Activate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := b.ready(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return b
}

// goOn has f run until the test ends, without an error.
func goOn(t *testing.T, f func(context.Context) error) {
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the process would end: %v", err)
		}
	})
}

func trip(t *testing.T, b *breakers, name string) {
	t.Helper()
	if turn, err := b.report(name, circuit.Report{Failed: true}); err != nil || turn.State != circuit.Open {
		t.Fatal(turn, err)
	}
}

// A cooldown that ended while the disk was full ended the process, again after each restart.
func TestACooldownEndsOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	b := openBreakers(t, dir, state.Options{SegmentSize: state.MinSegmentSize}, circuit.Settings{
		Failures: 1, Cooldown: clock.Duration(20 * time.Millisecond), MaxCooldown: clock.Duration(20 * time.Millisecond),
	})
	trip(t, b, "a")
	<-time.After(30 * time.Millisecond)
	fill := filepath.Join(dir, "fill")
	fillDisk(t, fill)
	for err := error(nil); !errors.Is(err, state.ErrNoSpace); { // what is left of the log
		err = b.rows.Put("z", circuit.Circuit{})
	}
	if err := b.touch("a"); !errors.Is(err, state.ErrNoSpace) {
		t.Fatal("the cooldown ends all the same:", err)
	}
	goOn(t, b.run)
	<-time.After(3 * lookEvery)
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		if c, _ := b.rows.Get("a"); c.State == circuit.HalfOpen {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the cooldown does not end though there is room")
		}
		<-time.After(lookEvery)
	}
	if lines, _, _, err := b.story.after(0); err != nil || len(lines) != 2 || lines[1].Event != circuit.CoolDown {
		t.Errorf("%v, %v: the story does not go with the circuit", lines, err)
	}
}

func fillDisk(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for page := make([]byte, 4096); err == nil; {
		_, err = f.Write(page)
	}
}

// A circuit that had tripped once and was called no more stayed for ever, and was looked at all the time.
func TestACircuitThatNobodyCallsIsForgotten(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := openBreakers(t, dir, state.Options{}, circuit.Settings{Failures: 1})
		for n := range 10 {
			trip(t, b, fmt.Sprint("n", n))
		}
		trip(t, b, "probed")
		if _, err := b.force("forced", circuit.ForceOpen); err != nil {
			t.Fatal(err)
		}
		if err := b.set("own", circuit.Settings{Failures: 1}); err != nil {
			t.Fatal(err)
		}
		trip(t, b, "own")
		time.Sleep(time.Minute)
		if err := b.moveAll(); err != nil {
			t.Fatal(err)
		}
		if p, _, err := b.permit("probed"); err != nil || p.Lease == 0 {
			t.Fatal(p, err)
		}
		if got := b.restless(); len(got) != 1 || got[0] != "probed" {
			t.Errorf("%q are looked at, and time moves only the one that is probed", got)
		}
		for range 4 { // the probe is lost, and its circuit half open again
			time.Sleep(time.Minute)
			if err := b.moveAll(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(forgetAfter + time.Second)
		all, err := b.list()
		if err != nil || len(all) != 2 || all[0].Name != "forced" || all[1].Name != "own" {
			t.Errorf("there still are %v, %v", all, err)
		}
		if got := b.restless(); len(got) > 0 {
			t.Errorf("%q are looked at", got)
		}
	})
}

// Settings that ask for fewer probes than have passed close a circuit at once, though nobody calls it.
func TestFewerProbesAreToldAtOnce(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := openBreakers(t, dir, state.Options{}, circuit.Settings{Failures: 1, Probes: 2})
		trip(t, b, "a")
		time.Sleep(time.Minute)
		p, _, err := b.permit("a")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.report("a", circuit.Report{Lease: p.Lease}); err != nil {
			t.Fatal(err)
		}
		if err := b.set("a", circuit.Settings{Probes: 1}); err != nil {
			t.Fatal(err)
		}
		if c, _ := b.rows.Get("a"); c.State != circuit.Closed {
			t.Error(c.State)
		}
	})
}
