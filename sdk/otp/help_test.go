package otp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var errCrash = errors.New("crash")

// counter is the process of most tests.
type counter struct {
	N    int64
	Seen []string
	held []From[int64]
	out  *diary
}

// diary is what processes of a test have noted, in order.
type diary struct {
	inline bool // the processes that note here

	mu    sync.Mutex
	lines []string
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diary) is(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.lines, want) {
		t.Errorf("noted: %q\nwant:  %q", d.lines, want)
	}
	d.lines = nil
}

type (
	inc struct {
		Reply[int64]
		By int64
	}
	get   struct{ Reply[int64] }
	later struct{ Reply[int64] } // answered by settle, or never
	slow  struct {
		Reply[int64]
		For time.Duration
	}
	fail struct {
		Reply[int64]
		Reason error // stops with it
		Panic  any
		Error  error // answers with it
		Last   bool  // answers, and stops
	}
	add    struct{ By int64 }
	settle struct{ With int64 }
	tick   struct{ Every time.Duration }
	do     struct {
		F func(c *Ctx, s *counter) error
	}
	unknown struct{ Reply[int64] }
)

func newCounter(d *diary, more ...func(b *Behaviour[counter])) *Behaviour[counter] {
	b := &Behaviour[counter]{
		Name: "counter",
		Init: func(_ *Ctx, arg any) (counter, error) {
			if err, ok := arg.(error); ok {
				return counter{}, err
			}
			n, _ := arg.(int64)
			return counter{N: n, out: d}, nil
		},
		Terminate: func(_ *Ctx, s *counter, reason error) { d.note("terminate %d: %v", s.N, reason) },
	}
	OnCall(b, func(_ *Ctx, s *counter, m inc) (int64, error) { s.N += m.By; return s.N, nil })
	OnCall(b, func(_ *Ctx, s *counter, _ get) (int64, error) { return s.N, nil })
	OnCall(b, func(_ *Ctx, s *counter, m slow) (int64, error) { time.Sleep(m.For); return s.N, nil })
	OnDefer(b, func(_ *Ctx, s *counter, _ later, from From[int64]) error {
		s.held = append(s.held, from)
		return nil
	})
	OnCall(b, func(_ *Ctx, s *counter, m fail) (int64, error) {
		switch {
		case m.Panic != nil:
			panic(m.Panic)
		case m.Error != nil:
			return 0, m.Error
		}
		return 7, Stop(m.Reason)
	})
	OnCast(b, func(_ *Ctx, s *counter, m add) error { s.N += m.By; return nil })
	OnCast(b, func(_ *Ctx, s *counter, m settle) error {
		for _, from := range s.held {
			from.Answer(m.With, nil)
		}
		s.held = nil
		return nil
	})
	OnCast(b, func(c *Ctx, s *counter, m do) error { return m.F(c, s) })
	OnInfo(b, func(c *Ctx, s *counter, m any) error {
		switch m := m.(type) {
		case Down:
			s.out.note("down %v", m.Reason)
		case Exited:
			s.out.note("exited %v", m.Reason)
		default:
			s.out.note("info %v", m)
		}
		return nil
	})
	b.Inline = d.inline
	for _, f := range more {
		f(b)
	}
	return b
}

func trapping(b *Behaviour[counter]) { b.TrapExit = true }

// bubble runs a test in virtual time, with a node: once with handlers on goroutines of their own, once with those of calls
// on that of the caller where it can be.
func bubble(t *testing.T, f func(t *testing.T, n *Node, d *diary)) {
	t.Helper()
	patient(t, f)
	t.Run("inline", func(t *testing.T) { inBubble(t, &diary{inline: true}, f) })
}

// patient is bubble for a test whose handlers of calls wait, as those that are inline must not.
func patient(t *testing.T, f func(t *testing.T, n *Node, d *diary)) {
	t.Helper()
	inBubble(t, new(diary), f)
}

func inBubble(t *testing.T, d *diary, f func(t *testing.T, n *Node, d *diary)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{})
		f(t, n, d)
		n.Close()
		time.Sleep(24 * time.Hour) // orphans return
	})
}

func begin(t *testing.T, n Scope, b *Behaviour[counter], options ...Option) PID {
	t.Helper()
	pid, err := Start(n, b, nil, options...)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// in runs f inside of the process and waits for it.
func in(t *testing.T, n *Node, pid PID, f func(c *Ctx, s *counter) error) {
	t.Helper()
	if err := Cast(n, pid, do{f}); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

func has[A Addr](t *testing.T, n *Node, to A, want int64) {
	t.Helper()
	if got, err := Call(n, to, get{}); err != nil || got != want {
		t.Errorf("it has %d (%v), want %d", got, err, want)
	}
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func gone(t *testing.T, n *Node, pid PID) {
	t.Helper()
	synctest.Wait()
	_, err := Call(n, pid, get{})
	is(t, err, ErrNoProc)
}

func timeout(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	context.AfterFunc(ctx, cancel)
	return ctx
}

// waitFor waits for what real time brings.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it does not come")
		}
	}
}
