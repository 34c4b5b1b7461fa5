package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/sdktest"
)

// within is a cache that a test looks into, and may change before it serves.
func within(t *testing.T, change ...func(*cache)) (*cache, *sdktest.Instance) {
	t.Helper()
	var c *cache
	i := sdktest.Start(t, sdk.Service{Name: "cache", Version: version, Setup: func(s *sdk.Setup) error {
		c = newCache(s.Log())
		for _, f := range change {
			f(c)
		}
		return c.setup(s)
	}}, sdktest.Options{})
	return c, i
}

// A key that was set while its namespace came to be kept elsewhere, or ended, was acknowledged and never found again.
func TestNoWriteIsLostWhenANamespaceChanges(t *testing.T) {
	_, s := within(t)
	done := make(chan struct{})
	changer := dial(t, s.Addr("resp"))
	var wait sync.WaitGroup
	wait.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			line := []string{"CACHE.NS SET s DURABLE", "CACHE.NS SET s DROP", "CACHE.NS DEL s"}[i%3]
			if got, err := changer.say(line); err != nil || got[0] == '-' && !strings.Contains(got, "flush it first") {
				t.Errorf("%s: %q, %v", line, got, err)
				return
			}
		}
	})
	eachOf(t, s.Addr("resp"), 2, func(i int, c *conn) error {
		for n := range 3000 {
			key := fmt.Sprint("s:", i)
			if got, err := c.do("SET", key, fmt.Sprint(n)); err != nil || got != "+OK\r\n" {
				return fmt.Errorf("SET: %q, %w", got, err)
			}
			got, err := c.do("GETDEL", key)
			if err == nil && !strings.HasSuffix(got, fmt.Sprintf("\r\n%d\r\n", n)) {
				err = fmt.Errorf("an acknowledged %d is %q", n, got)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	close(done)
	wait.Wait()
}

// An error in one table was forgotten if there was none in the next, so FLUSHALL said OK and keys were there.
func TestWhatCannotBeFlushedIsAnError(t *testing.T) {
	c, now := within(t)
	next := now.Next(service)
	now.Verb("ns", "d", "--set", "--keep", "durable")
	now.Verb("put", "a", "1")
	now.Verb("put", "d:a", "1")
	now.HandOver(next)
	asked := 0
	n, err := c.removeAll(false, func(string) bool {
		if asked++; asked == 2 {
			next.HandOver(now)
		}
		return true
	})
	if asked != 2 || n != 1 || err == nil {
		t.Errorf("%d of %d keys are removed, and the error is %v", n, asked, err)
	}
}

// A command that had found a value before its tag was invalidated could write it behind the back of the sweep. The
// invalidation was forgotten then, and the value alive for ever.
func TestTheSweepWaitsForCommandsInHand(t *testing.T) {
	c, s := within(t)
	s.Verb("put", "a", "1")
	s.Verb("tag", "a", "t")
	swept := make(chan error, 1)
	err := c.locks.alone([]byte("b"), func() error { // as RENAME a b does
		it, ok, err := c.find([]byte("a"))
		if err != nil || !ok {
			return fmt.Errorf("a is there: %v, %w", ok, err)
		}
		s.Verb("invalidate", "t")
		go func() { swept <- c.sweepInvalid(t.Context()) }()
		select {
		case err := <-swept:
			swept <- err
		case <-time.After(100 * time.Millisecond): // it waits
		}
		return c.store([]byte("b"), it)
	})
	if err := errors.Join(err, <-swept); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := c.find([]byte("b")); ok || err != nil {
		t.Errorf("an invalidated value is there: %v, %v", ok, err)
	}
}

// A key that got another tag in the instant in which one of its tags was invalidated outlived that.
func TestATagInTheInstantOfAnInvalidation(t *testing.T) {
	c, _ := within(t)
	key := []byte("k")
	for range 3000 {
		err := c.locks.alone(key, func() error {
			if err := c.store(key, c.freshWith(key, []byte("1"))); err != nil {
				return err
			}
			_, err := c.addTags(key, texts([]string{"t"}))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		wait.Go(func() {
			if err := c.tags.invalidate("t"); err != nil {
				t.Error(err)
			}
		})
		for range 3 {
			_ = c.locks.alone(key, func() error { _, err := c.addTags(key, texts([]string{"other"})); return err })
		}
		wait.Wait()
		if _, ok, err := c.peek(key); ok || err != nil {
			t.Fatalf("it is there after the invalidation: %v, %v", ok, err)
		}
	}
}

// A sweep that failed was tried again at the next invalidation, whenever that was.
func TestAFailedSweepIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tags := &tags{wake: make(chan struct{}, 1)}
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		tags.sweep()
		var at []time.Time
		_ = tags.run(ctx, func(context.Context) error {
			if at = append(at, time.Now()); len(at) < 3 {
				return errors.New("the disk is full")
			}
			return nil
		})
		if len(at) != 3 || at[2].Sub(at[0]) != 2*sweepAgain {
			t.Errorf("swept at %v", at)
		}
	})
}

// The words of CACHE.TAG were all compared with each other before anybody counted them.
func TestTooManyTagsAreRefusedAtOnce(t *testing.T) {
	c := dial(t, startCache(t, sdktest.Options{}).Addr("resp"))
	c.saying(t, [2]string{"SET k 1", "+OK "})
	list := []string{"CACHE.TAG", "k"}
	for i := range 200_000 {
		list = append(list, fmt.Sprint(i))
	}
	began := time.Now()
	if got, err := c.do(list...); err != nil || short(got) != "-"+string(errTags)+" " || time.Since(began) > 20*time.Second {
		t.Errorf("%q, %v after %v", short(got), err, time.Since(began))
	}
}

// A key that had to go, and was set again before that was done, was gone then: acknowledged, and not there.
func TestAKeyThatIsSetAgainIsNotEvicted(t *testing.T) {
	c, s := within(t)
	s.Verb("ns", "s", "--set", "--max-entries", "10")
	evicted := otter.DeletionEvent[string, uint32]{Key: "s:a", Cause: otter.CauseOverflow}
	before := c.spaces.get("s").bound
	s.Verb("put", "s:a", "1")
	before.deleted(evicted)
	if got := s.Verb("get", "s:a"); got != "1" {
		t.Errorf("it is %q", got)
	}
	s.Verb("ns", "s", "--set", "--max-entries", "20")
	before.forget([]byte("s:a"))
	before.deleted(evicted)
	if got := s.Verb("get", "s:a"); got != "1" {
		t.Errorf("in the bound after: %q", got)
	}
}
