package otp

import (
	"context"
	"errors"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// relay is a request that one process hands on to the next.
type relay struct {
	Reply[int64]
	To []PID
}

func relaying(b *Behaviour[counter]) {
	OnCall(b, func(c *Ctx, s *counter, m relay) (int64, error) {
		s.N++
		if len(m.To) == 0 {
			s.Seen = append(s.Seen, string(debug.Stack()))
			return 1, nil
		}
		n, err := Call(c, m.To[0], relay{To: m.To[1:]})
		return n + 1, err
	})
}

// A call to an idle process is handled in the goroutine of its caller, with Inline and only then.
func TestInlineIsOnTheCallersGoroutine(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d, relaying))
		_, err := Call(n, pid, relay{})
		is(t, err, nil)
		s, err := GetState[counter](n, pid)
		is(t, err, nil)
		if got := strings.Contains(s.Seen[0], t.Name()[:len("TestInlineIsOnTheCallersGoroutine")]); got != d.inline {
			t.Errorf("on the caller's goroutine: %t, want %t", got, d.inline)
		}
	})
}

// A chain of calls through idle processes does not pile up on one goroutine without end, and a circle is told.
func TestInlineChain(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		b := newCounter(d, relaying)
		list := make([]PID, 100)
		for i := range list {
			list[i] = begin(t, n, b)
		}
		got, err := Call(n, list[0], relay{To: list[1:]})
		if got != 100 || err != nil {
			t.Errorf("got %d, %v", got, err)
		}
		s, err := GetState[counter](n, list[99])
		is(t, err, nil)
		if deep := strings.Count(s.Seen[0], "serve("); deep > inlineDepth {
			t.Errorf("%d handlers are on one goroutine", deep)
		}
		_, err = Call(n, list[0], relay{To: []PID{list[1], list[2], list[0]}})
		is(t, err, ErrDeadlock)
		has(t, n, list[0], 2)
	})
}

// What was sent before a call is handled before it, and what its handler sends to its own process after it, by another
// goroutine: the caller does not wait for that.
func TestInlineOrder(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d, func(b *Behaviour[counter]) {
			OnCall(b, func(c *Ctx, s *counter, _ relay) (int64, error) {
				is(t, Cast(c, c.Self(), do{func(*Ctx, *counter) error { time.Sleep(time.Hour); s.N = -1; return nil }}), nil)
				return s.N, nil
			})
		}))
		is(t, Suspend(n, pid), nil)
		for range 100 {
			is(t, Cast(n, pid, add{1}), nil)
		}
		done := make(chan int64)
		began := time.Now()
		go func() {
			v, _ := Call(n, pid, relay{})
			done <- v
		}()
		synctest.Wait()
		is(t, Resume(n, pid), nil)
		if v := <-done; v != 100 || time.Since(began) != 0 {
			t.Errorf("it was %d after %s", v, time.Since(began))
		}
		time.Sleep(2 * time.Hour)
		has(t, n, pid, -1)
		v, err := Call(n, pid, relay{})
		if v != -1 || err != nil || time.Since(began) != 2*time.Hour {
			t.Errorf("it was %d (%v) after %s", v, err, time.Since(began))
		}
	})
}

// A call to a process that is busy, suspended or defers its answer keeps its deadline, inline too.
func TestInlineKeepsDeadlines(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d))
		late := func(why string, err error) {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", why, err)
			}
		}
		began := time.Now()
		_, err := Call(n, pid, later{})
		late("deferred", err)
		is(t, Suspend(n, pid), nil)
		_, err = Call(n, pid, get{})
		late("suspended", err)
		is(t, Resume(n, pid), nil)
		is(t, Cast(n, pid, do{func(*Ctx, *counter) error { time.Sleep(time.Hour); return nil }}), nil)
		synctest.Wait()
		_, err = Call(n, pid, get{})
		late("busy", err)
		if took := time.Since(began); took != 3*DefaultTimeout {
			t.Errorf("they took %s", took)
		}
	})
}

// Many callers of one process, some of whom give up, while it is suspended, resumed and in the end killed: one handler
// runs at a time, and every answer is that of its call.
func TestCallersAllAtOnce(t *testing.T) {
	for _, kind := range []bool{false, true} {
		n := New(Options{})
		pid := begin(t, n, newCounter(new(diary), func(b *Behaviour[counter]) { b.Inline = kind }))
		var wg sync.WaitGroup
		answers := make([]map[int64]bool, 8)
		for i := range answers {
			answers[i] = map[int64]bool{}
			wg.Go(func() {
				for j := range 2000 {
					var s Scope = n
					if j%8 == 0 {
						s = n.With(timeout(time.Duration(j) * 100 * time.Nanosecond))
					}
					if v, err := Call(s, pid, inc{By: 1}); err == nil {
						answers[i][v] = true
					} else if !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
					}
				}
			})
		}
		wg.Go(func() {
			for range 200 {
				is(t, errors.Join(Suspend(n, pid), Resume(n, pid)), nil)
			}
		})
		wg.Wait()
		all := map[int64]bool{}
		for _, list := range answers {
			for v := range list {
				if all[v] {
					t.Errorf("%d was answered twice", v)
				}
				all[v] = true
			}
		}
		last, err := Call(n, pid, get{})
		if err != nil || last < int64(len(all)) {
			t.Errorf("%d calls were answered, %d handled (%v)", len(all), last, err)
		}
		n.Close()
	}
}

// Whoever sends reads what kind of process it is, while ChangeCode makes it another one. Once it is of one that is not
// Inline, its handlers run on no caller's goroutine.
func TestSendersWhileTheCodeChanges(t *testing.T) {
	n := New(Options{})
	defer n.Close()
	kinds := make([]*Behaviour[counter], 2)
	for i, inline := range []bool{true, false} {
		kinds[i] = newCounter(new(diary), func(b *Behaviour[counter]) {
			b.Inline = inline
			b.Change = func(_ *Ctx, old, _ any) (counter, error) { return old.(counter), nil }
			OnCall(b, func(*Ctx, *counter, relay) (int64, error) {
				if !inline && strings.Contains(string(debug.Stack()), ").serve(") {
					t.Error("a handler that may wait is on the goroutine of a caller")
				}
				return 0, nil
			})
		})
	}
	pid := begin(t, n, kinds[0])
	var wg sync.WaitGroup
	over := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				_, err := Call(n, pid, relay{})
				is(t, errors.Join(err, Cast(n, pid, add{1})), nil)
				SendExit(n, pid, ErrNormal)
			}
		})
	}
	for i := range 500 {
		is(t, errors.Join(Suspend(n, pid), ChangeCode(n, pid, kinds[(i+1)%2], nil), Resume(n, pid)), nil)
	}
	close(over)
	wg.Wait()
}
