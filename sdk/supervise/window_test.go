package supervise

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestRestartsCountWhileTheyAreWithinThePeriod(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{Intensity: 5, Period: 10 * time.Second}, w.spec("a"))
		sees := func(want int) {
			t.Helper()
			if got := w.sup.Restarts(); got != want {
				t.Errorf("%d restarts count, want %d", got, want)
			}
		}
		sees(0)
		w.exit("a", errCrash)
		time.Sleep(4 * time.Second)
		w.exit("a", errCrash)
		sees(2)
		time.Sleep(7 * time.Second)
		sees(1)
		w.must(w.sup.Change(w.Context(), Flags{Intensity: 5, Period: 2 * time.Second}, w.spec("a")))
		sees(0)
		if n := w.sup.Waiting(); n != 0 {
			t.Errorf("%d ends wait", n)
		}
		w.cancel(nil)
		<-w.done
		w.done <- nil
		sees(0)
	})
}

// A supervisor that starts a slow child is asked all the same, and what ends meanwhile waits.
func TestWindowAndMailboxCanBeReadWhileAChildStarts(t *testing.T) {
	bubble(t, func(w *world) {
		a, b := w.spec("a"), w.spec("b")
		start := b.Start
		w.run(Flags{Intensity: 5}, a, b)
		b.Start = slowly(start)
		w.must(w.sup.Change(w.Context(), Flags{Intensity: 5}, a, b))
		w.exit("b", errCrash)
		w.kids["a"].tell <- errCrash
		time.Sleep(time.Second)
		if r, n := w.sup.Restarts(), w.sup.Waiting(); r != 1 || n != 1 {
			t.Errorf("%d restarts count, %d ends wait", r, n)
		}
		time.Sleep(time.Minute)
		w.children("a:running b:running")
	})
}

func slowly(start Start) Start {
	return func(ctx context.Context) (Child, error) {
		time.Sleep(30 * time.Second)
		return start(ctx)
	}
}

// A change that comes while the supervisor stops holds for its next run.
func TestChangeWhileItStops(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{}, w.spec("a"))
		w.kids["a"].slow = time.Second
		w.cancel(nil)
		synctest.Wait()
		w.must(w.sup.Change(w.Context(), Flags{}, w.spec("b")))
		<-w.done
		ctx, cancel := context.WithCancelCause(context.Background())
		w.cancel = cancel
		go func() { w.done <- w.sup.Run(ctx, func() {}) }()
		synctest.Wait()
		w.children("b:running")
	})
}
