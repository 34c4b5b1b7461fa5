package lab

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/theseusd/theseus/sdk/supervise"
)

// goroutines is a crew of functions that run.
type goroutines struct {
	bonds   *bonds
	running atomic.Int64
}

func newGoroutines() *goroutines { return &goroutines{bonds: newBonds()} }

// loop is one goroutine's inbox.
type loop chan any

// errand is a request in it; anything else is a Fault.
type errand chan<- int

func (g *goroutines) start(ctx context.Context, b birth) (supervise.Child, hand, error) {
	inbox := make(loop, 1)
	child, err := supervise.Go(func(ctx context.Context, ready func()) error {
		g.running.Add(1)
		defer g.running.Add(-1)
		if err := g.come(ctx, b); err != nil {
			return err
		}
		ready()
		return g.work(ctx, inbox)
	})(ctx)
	return child, inbox, err
}

func (g *goroutines) come(ctx context.Context, b birth) error {
	if b.slow > 0 {
		select {
		case <-time.After(b.slow):
		case <-g.bonds.cut:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if b.refuse {
		return errRefused
	}
	return nil
}

func (g *goroutines) work(ctx context.Context, inbox loop) error {
	leaked := 0
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case m := <-inbox:
			switch m := m.(type) {
			case errand:
				m <- leaked
			case Fault:
				switch m {
				case Exit:
					return errHurt
				case Hang:
					g.bonds.hang()
				case Leak:
					g.bonds.leak()
					leaked += Leaked
				default:
					panic(errHurt)
				}
			}
		}
	}
}

func (g *goroutines) abort() { g.bonds.release() }

func (g *goroutines) close() (Remains, error) {
	orphans := int(g.running.Load()) // the supervisor has seen all others return
	return Remains{Orphans: orphans, Leaked: g.bonds.end()}, nil
}

func (inbox loop) ask(ctx context.Context) (int, error) {
	answer := make(chan int, 1)
	select {
	case inbox <- errand(answer):
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	select {
	case leaked := <-answer:
		return leaked, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

func (inbox loop) hurt(f Fault) error {
	inbox <- f
	return nil
}
