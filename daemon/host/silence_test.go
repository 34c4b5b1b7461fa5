package host

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// attending is a call to a process of which the kernel says, by stopped, whether it stands still.
func attending(t *testing.T, f func(ctx context.Context, in *instance, stopped *atomic.Bool)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var stopped atomic.Bool
		h := New(Options{})
		defer h.Close()
		h.stopped = func(int) bool { return stopped.Load() }
		in := &instance{host: h}
		ctx, cancel := in.attended(t.Context())
		defer cancel()
		f(ctx, in, &stopped)
	})
}

func TestWhoWaitsForAStoppedProcessIsToldSoon(t *testing.T) {
	attending(t, func(ctx context.Context, _ *instance, stopped *atomic.Bool) {
		stopped.Store(true)
		began := time.Now()
		<-ctx.Done()
		if took := time.Since(began); took != stoppedLooks*lookEvery || !errors.Is(context.Cause(ctx), errStopped) {
			t.Errorf("%v after %s", context.Cause(ctx), took)
		}
	})
}

// Nobody is given up for a short stop, however often.
func TestAProcessThatIsStoppedForAMomentIsNotGivenUp(t *testing.T) {
	attending(t, func(ctx context.Context, in *instance, stopped *atomic.Bool) {
		time.Sleep(lookEvery / 2) // between two looks
		for range 20 {
			stopped.Store(true)
			time.Sleep((stoppedLooks - 1) * lookEvery)
			stopped.Store(false)
			time.Sleep(lookEvery)
		}
		if err := in.silent(); err != nil || ctx.Err() != nil {
			t.Errorf("given up: %v", err)
		}
	})
}

func TestAProcessThatDoesNotAnswerIsGivenUpAfterFourPings(t *testing.T) {
	h := New(Options{})
	defer h.Close()
	in := &instance{host: h}
	for range silentPings - 1 {
		in.heed(context.DeadlineExceeded)
		if err := in.silent(); err != nil {
			t.Fatalf("given up: %v", err)
		}
	}
	in.heed(context.DeadlineExceeded)
	if err := in.silent(); !errors.Is(err, errUnheeded) {
		t.Errorf("%v, want %v", err, errUnheeded)
	}
	if ctx, cancel := in.attended(t.Context()); !errors.Is(context.Cause(ctx), errSilent) {
		cancel()
		t.Errorf("who asks one that is given up gets %v, want %v at once", context.Cause(ctx), errSilent)
	}
	in.heed(nil)
	ctx, cancel := in.attended(t.Context())
	defer cancel()
	if ctx.Err() != nil {
		t.Errorf("one that answers is given up still: %v", context.Cause(ctx))
	}
}
