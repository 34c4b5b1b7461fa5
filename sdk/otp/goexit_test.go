package otp

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func leaves(b *Behaviour[counter]) {
	OnCall(b, func(*Ctx, *counter, relay) (int64, error) { runtime.Goexit(); return 0, nil })
}

// A handler that ends its goroutine, as FailNow of a test does, ends its process: it was busy for ever.
func TestGoexitIsAnExit(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		var crashes []Crash
		n.onCrash = func(c Crash) { crashes = append(crashes, c) }
		pid, watcher := begin(t, n, newCounter(d, leaves)), begin(t, n, newCounter(d))
		in(t, n, watcher, func(c *Ctx, _ *counter) error { Monitor(c, pid); return nil })
		is(t, Suspend(n, pid), nil)
		answers := make([]error, 3)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() {
				answers[i] = errCrash
				_, answers[i] = Call(n, pid, relay{})
			})
		}
		synctest.Wait()
		is(t, Resume(n, pid), nil)
		wg.Wait()
		d.is(t, "terminate 0: "+ErrGoexit.Error(), "down "+ErrGoexit.Error())
		if !slices.ContainsFunc(answers, func(err error) bool { return errors.Is(err, ErrGoexit) }) {
			t.Errorf("the callers got %v", answers)
		}
		gone(t, n, pid)
		if s := n.Stats(); s.Crashes != 1 || s.Orphans != 0 || len(crashes) != 1 || crashes[0].Message == nil || crashes[0].Stack == nil {
			t.Errorf("%+v %+v", s, crashes)
		}
	})
}

// On the goroutine of a caller it ends that too. If that is another process's handler, so it is the end of that process.
func TestGoexitOnTheCallersGoroutine(t *testing.T) {
	inBubble(t, &diary{inline: true}, func(t *testing.T, n *Node, d *diary) {
		b, leaving := newCounter(d, relaying), newCounter(d, leaves)
		first, last := begin(t, n, b), begin(t, n, leaving)
		over, returned := make(chan struct{}), false
		go func() {
			defer close(over)
			_, _ = Call(n, first, relay{To: []PID{last}})
			returned = true
		}()
		<-over
		if returned {
			t.Error("the call returned")
		}
		gone(t, n, first)
		gone(t, n, last)
		d.is(t, "terminate 0: "+ErrGoexit.Error(), "terminate 1: "+ErrGoexit.Error())
	})
}

// What is no handler may end the goroutine as well: whoever waits for it is told at once.
func TestGoexitBesideHandlers(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		began := time.Now()
		pid := begin(t, n, newCounter(d))
		err := ReplaceState(n, pid, func(counter) (counter, error) { runtime.Goexit(); return counter{}, nil })
		is(t, err, ErrGoexit)
		gone(t, n, pid)
		pid = begin(t, n, newCounter(d, func(b *Behaviour[counter]) {
			b.Inline = false
			b.Terminate = func(*Ctx, *counter, error) { runtime.Goexit() }
		}))
		_, err = Call(n, pid, fail{Reason: errCrash})
		is(t, err, nil)
		gone(t, n, pid)
		go func() {
			_, _ = Start(n, newCounter(d, func(b *Behaviour[counter]) {
				b.Init = func(*Ctx, any) (counter, error) { runtime.Goexit(); return counter{}, nil }
			}), nil, Named("a"))
		}()
		synctest.Wait()
		if s := n.Stats(); s.Processes != 0 || WhereIs(n, "a") != 0 || time.Since(began) != 0 {
			t.Errorf("%+v after %s", s, time.Since(began))
		}
	})
}

// A call whose context has ended before is not executed, inline neither.
func TestCallThatIsGivenUpBefore(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d))
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errCrash)
		for range 10 {
			_, err := Call(n.With(ctx), pid, inc{By: 1})
			is(t, err, errCrash)
		}
		has(t, n, pid, 0)
	})
}

// A call to be answered later that comes into a process as it ends is told of the end, not left to its deadline.
func TestDeferredCallOfAProcessThatHasEnded(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		began := time.Now()
		pid := begin(t, n, newCounter(d))
		p := n.procs.get(pid)
		// the instant between the look whether the process has ended and its handler, at which nothing is cut off yet
		is(t, Trace(n, pid, func(Event) { p.kill() }), nil)
		_, err := Call(n, pid, later{})
		is(t, err, ErrNoProc)
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %s", took)
		}
	})
}
