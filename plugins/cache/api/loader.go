// Package api is for programs that use the cache: a small client, and what most of them want from it.
//
//	page, err := loader.GetOrLoad(ctx, "page:1", func(ctx context.Context) ([]byte, error) {
//		return render(ctx, 1)
//	})
//
// Of those who ask for a key that is not there, one loads it and the others wait for that. A cache that cannot be
// reached costs a load, not an answer.
package api

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Store keeps values for a time. [Client] is one; a few lines make one of any Redis client.
type Store interface {
	Get(ctx context.Context, key string) (value []byte, ok bool, err error)
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error
}

// A Loader reads through a store. Its fields are set before its first use; any goroutine may use it.
type Loader struct {
	Store Store
	TTL   time.Duration // of what is loaded; 0 is for ever, or what the key's namespace says

	mu      sync.Mutex
	flights map[string]*flight
}

// flight is one load, for all who wait for it.
type flight struct {
	waiting int // guarded by the loader
	cancel  context.CancelFunc
	done    chan struct{}
	value   []byte
	err     error
}

// GetOrLoad returns the value of a key. If it is not there, load makes it, once for all who ask meanwhile, and it is
// kept. Load goes on as long as anybody waits for it; who gives up gets the error of ctx. An error of load goes to all
// who wait, and nothing is kept. The value is shared: nobody may change it.
func (l *Loader) GetOrLoad(ctx context.Context, key string, load func(context.Context) ([]byte, error)) ([]byte, error) {
	f := l.join(ctx, key, load)
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		l.leave(key, f)
		return nil, context.Cause(ctx)
	}
}

// join is the load that goes on for the key, or a new one.
func (l *Loader) join(ctx context.Context, key string, load func(context.Context) ([]byte, error)) *flight {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.flights[key]; f != nil {
		f.waiting++
		return f
	}
	f := &flight{waiting: 1, done: make(chan struct{})}
	ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if l.flights == nil {
		l.flights = map[string]*flight{}
	}
	l.flights[key] = f
	go l.fly(ctx, key, f, load)
	return f
}

// leave takes one off those who wait; a load that nobody waits for is cancelled, and not joined any more.
func (l *Loader) leave(key string, f *flight) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		l.forget(key, f)
	}
}

func (l *Loader) forget(key string, f *flight) {
	f.cancel()
	if l.flights[key] == f {
		delete(l.flights, key)
	}
}

func (l *Loader) fly(ctx context.Context, key string, f *flight, load func(context.Context) ([]byte, error)) {
	defer close(f.done)
	f.value, f.err = l.through(ctx, key, load)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(key, f)
}

func (l *Loader) through(ctx context.Context, key string, load func(context.Context) ([]byte, error)) (value []byte, err error) {
	if value, ok, err := l.Store.Get(ctx, key); ok && err == nil {
		return value, nil
	}
	defer func() {
		if p := recover(); p != nil { // it must not end a program in a goroutine that nobody knows of
			err = fmt.Errorf("load of %q panicked: %v", key, p)
		}
	}()
	if value, err = load(ctx); err == nil {
		_ = l.Store.Set(ctx, key, value, l.TTL)
	}
	return value, err
}
