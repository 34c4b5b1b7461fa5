package supervise

import (
	"context"
	"runtime/debug"
	"sync"
)

// Child is something that was started and will end.
type Child interface {
	// Watch calls f once when the child has ended, with its reason; at once if it has ended already. f does not block.
	Watch(f func(reason error))
	// Shutdown asks the child to end for this reason, and returns at once. For ErrHandover a child that can go on without
	// its supervisor tells those who watch it that it has ended, and goes on.
	Shutdown(reason error)
	// Kill ends the child without asking. Those who watch it are told ErrKilled, unless it had ended by itself.
	Kill()
}

// Go is the Start of a goroutine. It calls run, which calls ready once it is up; children after it start then. When
// its context ends, run returns soon, and context.Cause tells why. A run that returns before it was ready has failed to
// start; with a nil error it has done all there was to do.
func Go(run func(ctx context.Context, ready func()) error) Start {
	return func(ctx context.Context) (Child, error) {
		g := newGoroutine()
		up := make(chan struct{})
		var once sync.Once
		go g.run(run, func() { once.Do(func() { close(up) }) })
		select {
		case <-up:
			return g, nil
		case <-g.ended:
			if err := g.reason; err != nil {
				return nil, err
			}
			return g, nil
		case <-ctx.Done():
			g.Shutdown(context.Cause(ctx))
			g.Kill()
			return nil, context.Cause(ctx)
		}
	}
}

// goroutine is a child that is a function.
type goroutine struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	ended  chan struct{}

	mu       sync.Mutex
	over     bool
	returned bool
	reason   error
	watchers []func(error)
}

var _ Child = (*goroutine)(nil)

func newGoroutine() *goroutine {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &goroutine{ctx: ctx, cancel: cancel, ended: make(chan struct{})}
}

func (g *goroutine) run(f func(ctx context.Context, ready func()) error, ready func()) {
	reason := error(&PanicError{Value: "runtime.Goexit"}) // unless f returns or panics
	defer func() {
		if v := recover(); v != nil {
			reason = &PanicError{Value: v, Stack: debug.Stack()}
		}
		g.mu.Lock()
		g.returned = true
		g.mu.Unlock()
		g.end(reason)
		g.cancel(nil)
	}()
	reason = f(g.ctx, ready)
}

// end tells those who watch, unless they know.
func (g *goroutine) end(reason error) {
	g.mu.Lock()
	if g.over {
		g.mu.Unlock()
		return
	}
	g.over, g.reason = true, reason
	watchers := g.watchers
	g.watchers = nil
	close(g.ended)
	g.mu.Unlock()
	for _, f := range watchers {
		f(reason)
	}
}

func (g *goroutine) Watch(f func(reason error)) {
	g.mu.Lock()
	over, reason := g.over, g.reason
	if !over {
		g.watchers = append(g.watchers, f)
	}
	g.mu.Unlock()
	if over {
		f(reason)
	}
}

func (g *goroutine) Shutdown(reason error) { g.cancel(reason) }

// Kill orphans the goroutine: nobody can end it, so nobody heeds it any more.
func (g *goroutine) Kill() {
	g.cancel(ErrKilled)
	g.end(ErrKilled)
}

// Orphaned is true while the function runs on although it was killed.
func (g *goroutine) Orphaned() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.over && !g.returned
}

// orphan is what a child is that can outlive its own end.
type orphan interface{ Orphaned() bool }
