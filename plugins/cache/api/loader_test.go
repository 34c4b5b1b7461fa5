package api

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// shelf is a store in memory.
type shelf struct {
	mu     sync.Mutex
	values map[string]string
	broken error
	kept   time.Duration
}

func (s *shelf) Get(_ context.Context, key string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.values[key]
	return []byte(v), ok, s.broken
}

func (s *shelf) Set(_ context.Context, key string, value []byte, ttl time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.values[key], s.kept = string(value), ttl
	}
	return s.broken
}

func TestOneLoadsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{values: map[string]string{}}
		l := &Loader{Store: s, TTL: time.Minute}
		loads := 0
		load := func(context.Context) ([]byte, error) {
			loads++
			time.Sleep(time.Second)
			return []byte("page"), nil
		}
		var wait sync.WaitGroup
		for range 100 {
			wait.Go(func() {
				if v, err := l.GetOrLoad(t.Context(), "k", load); string(v) != "page" || err != nil {
					t.Errorf("got %q, %v", v, err)
				}
			})
		}
		wait.Wait()
		if v, err := l.GetOrLoad(t.Context(), "k", load); string(v) != "page" || err != nil || loads != 1 || s.kept != time.Minute {
			t.Errorf("got %q, %v after %d loads, kept for %v", v, err, loads, s.kept)
		}
	})
}

func TestALoadGoesOnForThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Loader{Store: &shelf{values: map[string]string{}}}
		ended := make(chan error, 2)
		load := func(ctx context.Context) ([]byte, error) {
			select {
			case <-ctx.Done():
				ended <- ctx.Err()
				return nil, ctx.Err()
			case <-time.After(10 * time.Second):
				ended <- nil
				return []byte("late"), nil
			}
		}
		get := func(patience time.Duration) (string, error) {
			ctx, stop := context.WithTimeout(t.Context(), patience)
			defer stop()
			v, err := l.GetOrLoad(ctx, "k", load)
			return string(v), err
		}
		var wait sync.WaitGroup
		wait.Go(func() {
			if _, err := get(time.Second); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the first one: %v", err)
			}
		})
		wait.Go(func() {
			if v, err := get(time.Minute); v != "late" || err != nil {
				t.Errorf("the second one: %q, %v", v, err)
			}
		})
		wait.Wait()
		if err := <-ended; err != nil {
			t.Errorf("the load ended with its first caller: %v", err)
		}
		l.Store = &shelf{values: map[string]string{}}
		if _, err := get(time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("a load that nobody waits for ended with %v", err)
		}
	})
}

func TestErrorsAndPanicsAreNotKept(t *testing.T) {
	s := &shelf{values: map[string]string{}}
	l := &Loader{Store: s}
	broken := errors.New("the source is down")
	if _, err := l.GetOrLoad(t.Context(), "k", func(context.Context) ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, err := l.GetOrLoad(t.Context(), "k", func(context.Context) ([]byte, error) { panic("oh") }); err == nil || !strings.Contains(err.Error(), "oh") {
		t.Errorf("got %v", err)
	}
	if len(s.values) != 0 {
		t.Errorf("it keeps %v", s.values)
	}
	s.broken = errors.New("the cache is down")
	if v, err := l.GetOrLoad(t.Context(), "k", func(context.Context) ([]byte, error) { return []byte("v"), nil }); string(v) != "v" || err != nil {
		t.Errorf("without a cache: %q, %v", v, err)
	}
}
