package supervise

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// What a supervisor has started is asked to end when the rest does not come up: for a reason of its own, so that children
// which it had only taken over can go on. The others are killed as ever.
func TestChildrenOfASupervisorThatDoesNotComeUp(t *testing.T) {
	for _, strategy := range []Strategy{OneForOne, OneForAll} {
		var told sync.Map
		asked := func(id string, shutdown time.Duration) ChildSpec {
			return ChildSpec{ID: id, Shutdown: shutdown, Start: Go(func(ctx context.Context, ready func()) error {
				ready()
				<-ctx.Done()
				told.Store(id, context.Cause(ctx))
				return ErrShutdown
			})}
		}
		inner, err := New(Flags{}, asked("inner", 0))
		if err != nil {
			t.Fatal(err)
		}
		s, err := New(Flags{Strategy: strategy}, asked("a", 0), asked("brutal", BrutalKill), Sup("sup", inner),
			ChildSpec{ID: "bad", Start: func(context.Context) (Child, error) { return nil, errCrash }})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			err = s.Run(t.Context(), func() {})
			synctest.Wait()
		})
		for _, id := range []string{"a", "brutal", "inner"} {
			if reason, _ := told.Load(id); reason != ErrAborted {
				t.Errorf("%s is told %v", id, reason)
			}
		}
		if !errors.Is(err, errCrash) || !errors.Is(ErrAborted, ErrShutdown) {
			t.Error(err)
		}
	}
}

// One that is killed without being asked is not waited for when it is asked for once.
func TestBrutalKillIsNotWaitedForAtAHandover(t *testing.T) {
	for _, strategy := range []Strategy{OneForOne, Dynamic} {
		synctest.Test(t, func(t *testing.T) {
			end := make(chan struct{})
			spec := ChildSpec{ID: "deaf", Shutdown: BrutalKill, Start: Go(func(_ context.Context, ready func()) error {
				ready()
				<-end
				return nil
			})}
			s, err := New(Flags{Strategy: strategy})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			over := make(chan error, 1)
			go func() { over <- s.Run(ctx, func() {}) }()
			synctest.Wait()
			if _, err := s.StartChild(t.Context(), spec); err != nil {
				t.Fatal(err)
			}
			cancel(ErrHandover)
			select {
			case err = <-over:
			case <-time.After(time.Hour):
				err = errors.New("it waits")
			}
			if !errors.Is(err, ErrHandover) {
				t.Errorf("%s: %v", strategy, err)
			}
			close(end)
			synctest.Wait()
		})
	}
}
