package supervise

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// virtual runs a test in virtual time.
func virtual(run func(*world)) func(*testing.T) {
	return func(t *testing.T) { synctest.Test(t, func(t *testing.T) { run(newWorld(t)) }) }
}

// reasonOf is what a goroutine's end is seen as, when its supervisor has it run alone and asks it to stop after a second.
func reasonOf(w *world, start Start) error {
	w.Helper()
	w.begin(Flags{}, ChildSpec{ID: "f", Start: start, Restart: Temporary})
	time.Sleep(time.Second)
	w.stop()
	for _, e := range w.events {
		if e.ID == "f" && e.Kind != ChildStarted {
			return e.Reason
		}
	}
	w.Fatal("its end was not told")
	return nil
}

func TestReasonOfAGoroutine(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name string
		f    func(context.Context) error
		want error
	}{
		{"returned nil by itself: normal", func(context.Context) error { return nil }, nil},
		{"returned an error by itself", func(context.Context) error { return broken }, broken},
		{"returned a cancellation of something else", func(context.Context) error { return context.Canceled }, context.Canceled},
		{"ended by Goexit", func(context.Context) error { runtime.Goexit(); return nil }, errGoexit},
		{"asked, returned nil", func(ctx context.Context) error { <-ctx.Done(); return nil }, ErrShutdown},
		{"asked, returned the cause", func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }, ErrShutdown},
		{"asked, returned Canceled", func(ctx context.Context) error { <-ctx.Done(); return fmt.Errorf("read: %w", ctx.Err()) }, ErrShutdown},
		{"asked, returned an error", func(ctx context.Context) error { <-ctx.Done(); return broken }, broken},
	} {
		t.Run(c.name, virtual(func(w *world) {
			if got := reasonOf(w, Func(c.f)); got != c.want {
				w.Errorf("got %v, want %v", got, c.want)
			}
		}))
	}
}

func TestPanicIsAReasonWithAStack(t *testing.T) {
	virtual(func(w *world) {
		inner := errors.New("inner")
		reason := reasonOf(w, Func(func(context.Context) error { panic(inner) }))
		var p *PanicError
		if !errors.As(reason, &p) || !errors.Is(reason, inner) || !strings.Contains(string(p.Stack), "TestPanicIsAReason") {
			w.Errorf("got %v", reason)
		}
	})(t)
}

func TestNextChildStartsWhenTheOneBeforeIsReady(t *testing.T) {
	virtual(func(w *world) {
		slow := Run(func(ctx context.Context, ready func()) error {
			time.Sleep(time.Minute)
			ready()
			ready() // twice is once
			<-ctx.Done()
			return nil
		})
		began := time.Now()
		w.begin(Flags{}, ChildSpec{ID: "slow", Start: slow}, w.spec("next"))
		if took := time.Since(began); took != time.Minute {
			w.Errorf("up after %v", took)
		}
		w.wantWhich("next:running slow:running")
		w.stop()
	})(t)
}

func TestStartOfAGoroutineThatFails(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name string
		f    func(context.Context, func()) error
		want error
	}{
		{"error before ready", func(context.Context, func()) error { return broken }, broken},
		{"panic before ready", func(context.Context, func()) error { panic(broken) }, broken},
		{"ignore", func(context.Context, func()) error { return ErrIgnore }, nil},
		{"nil before ready is an end", func(context.Context, func()) error { return nil }, nil},
	} {
		t.Run(c.name, virtual(func(w *world) {
			w.wantErr(w.try(Flags{}, ChildSpec{ID: "f", Start: Run(c.f), Restart: Transient}), c.want)
			if c.want == nil {
				w.wantWhich("f:stopped")
			}
		}))
	}
}

func TestArgumentOfAnotherTypeIsRefused(t *testing.T) {
	virtual(func(w *world) {
		var got int
		start := RunWith(func(_ context.Context, n int, ready func()) error { got = n; ready(); return nil })
		w.begin(Flags{Strategy: SimpleOneForOne}, ChildSpec{ID: "f", Start: start, Restart: Temporary})
		if _, err := w.sup.StartDynamic(w.Context(), "seven"); err == nil || !strings.Contains(err.Error(), "is a string, want int") {
			w.Errorf("got %v", err)
		}
		w.addDynamic(7)
		synctest.Wait()
		if got != 7 {
			w.Errorf("got %d", got)
		}
		_, err := w.sup.StartDynamic(w.Context(), nil)
		w.wantErr(err, nil)
	})(t)
}

// deaf is a goroutine that ends when it likes to.
func deaf(until time.Duration) Start {
	return Func(func(context.Context) error { time.Sleep(until); return nil })
}

func TestGoroutineThatDoesNotStopIsAnOrphan(t *testing.T) {
	for _, c := range []struct {
		shutdown, takes time.Duration
	}{{BrutalKill, 0}, {3 * time.Second, 3 * time.Second}} {
		t.Run(FormatShutdown(c.shutdown), virtual(func(w *world) {
			w.begin(Flags{}, ChildSpec{ID: "deaf", Start: deaf(time.Hour), Shutdown: c.shutdown}, w.spec("next"))
			began := time.Now()
			w.terminate("deaf")
			if took := time.Since(began); took != c.takes {
				w.Errorf("terminated after %v", took)
			}
			all := w.sup.Orphans()
			if len(all) != 1 || all[0].ID != "deaf" || all[0].Supervisor != "top" || !all[0].Since.Equal(time.Now()) {
				w.Errorf("orphans %+v", all)
			}
			if stats, _ := w.sup.Stats(w.Context()); stats.Orphans != 1 {
				w.Errorf("stats %+v", stats)
			}
			w.wantWhich("next:running deaf:stopped")
			time.Sleep(2 * time.Hour)
			const want = "child_orphaned:deaf:killed orphan_ended:deaf:killed"
			if got := w.seen(ChildOrphaned, OrphanEnded); got != want || len(w.sup.Orphans()) != 0 {
				w.Errorf("told %q, left %v", got, w.sup.Orphans())
			}
		}))
	}
}

func TestOrphanOutlivesItsSupervisor(t *testing.T) {
	virtual(func(w *world) {
		below := &Spec{Flags: Flags{Intensity: NoRestarts}, Children: []ChildSpec{
			{ID: "deaf", Start: deaf(time.Hour), Shutdown: time.Second}, w.spec("child"),
		}}
		w.begin(Flags{}, ChildSpec{ID: "below", Tree: below})
		w.end("child", errCrash) // gives up, cannot stop deaf, and is restarted with another one
		time.Sleep(2 * time.Second)
		if all := w.sup.Orphans(); len(all) != 1 || all[0].Supervisor != "top/below" {
			w.Errorf("orphans %+v", all)
		}
		w.stop()
		if all := w.sup.Orphans(); len(all) != 2 {
			w.Errorf("after the end: %+v", all)
		}
		time.Sleep(time.Hour)
		if all := w.sup.Orphans(); len(all) != 0 {
			w.Errorf("at last: %+v", all)
		}
	})(t)
}

func TestGoroutineIsRestarted(t *testing.T) {
	virtual(func(w *world) {
		runs := 0
		w.begin(Flags{}, ChildSpec{ID: "f", Start: Func(func(ctx context.Context) error {
			if runs++; runs == 1 {
				panic("first")
			}
			<-ctx.Done()
			return context.Cause(ctx)
		})})
		w.wantWhich("f:running")
		if runs != 2 {
			w.Errorf("%d runs", runs)
		}
	})(t)
}
