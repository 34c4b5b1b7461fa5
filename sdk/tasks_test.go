package sdk

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestTasksRunOnlyBetweenStartAndStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		ts := newTasks([]func(context.Context) error{func(ctx context.Context) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			<-ctx.Done()
			return ctx.Err()
		}}, func(err error) { t.Error(err) })
		for range 3 {
			ts.start()
			ts.start()
			synctest.Wait()
			if running.Load() != 1 {
				t.Fatalf("%d run, want 1", running.Load())
			}
			if err := ts.stop(t.Context()); err != nil || running.Load() != 0 {
				t.Fatalf("stop: %v, %d run", err, running.Load())
			}
		}
		if most.Load() != 1 {
			t.Errorf("%d ran at once", most.Load())
		}
	})
}

// A switch that has used up its time blamed tasks that had long returned, every other time.
func TestTasksThatHaveReturnedAreNotBlamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late, stop := context.WithCancel(t.Context())
		stop()
		for range 100 {
			ts := newTasks([]func(context.Context) error{func(context.Context) error { return nil }}, func(err error) { t.Error(err) })
			ts.start()
			synctest.Wait()
			if err := ts.stop(late); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestTaskThatDoesNotEndIsNotRunTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, runs atomic.Int32
		ts := newTasks([]func(context.Context) error{func(ctx context.Context) error {
			runs.Add(1)
			if running.Add(1) > 1 {
				t.Error("two at once")
			}
			defer running.Add(-1)
			<-ctx.Done()
			time.Sleep(time.Minute)
			return nil
		}}, func(err error) { t.Error(err) })
		ts.start()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if ts.stop(ctx) == nil {
			t.Fatal("stop returned before the task did")
		}
		ts.start()
		time.Sleep(2 * time.Minute)
		if runs.Load() != 2 || running.Load() != 1 {
			t.Errorf("runs %d, running %d", runs.Load(), running.Load())
		}
		_ = ts.stop(t.Context())
	})
}

func TestTaskThatHangsKeepsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ticks atomic.Int32
		ts := newTasks([]func(context.Context) error{
			func(context.Context) error { time.Sleep(time.Hour); return nil },
			func(ctx context.Context) error { ticks.Add(1); <-ctx.Done(); return nil },
		}, func(err error) { t.Error(err) })
		ts.start()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if ts.stop(ctx) == nil {
			t.Fatal("stop returned before the task did")
		}
		ts.start()
		synctest.Wait()
		if ticks.Load() != 2 {
			t.Errorf("the other task ran %d times", ticks.Load())
		}
		_ = ts.stop(ctx)
		time.Sleep(2 * time.Hour)
	})
}

func TestTaskErrorIsReportedUnlessStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		var got error
		ts := newTasks([]func(context.Context) error{func(context.Context) error { return broken }}, func(err error) { got = err })
		ts.start()
		synctest.Wait()
		if !errors.Is(got, broken) {
			t.Errorf("got %v", got)
		}
		_ = ts.stop(t.Context())
	})
}
