package host

import (
	"context"
	"errors"
	"time"

	"github.com/theseusd/theseus/sdk/supervise"
)

// workPatience is how long the tree waits for a supervisor to answer.
const workPatience = 200 * time.Millisecond

// isFree is true if the supervisor of a group answers, or does not run. One that starts a child, or awaits the end of one, may be at
// work for minutes: it is left alone, and the tree is arranged again when it is free.
func (t *tree) isFree(ctx context.Context, g *group) bool {
	if g.isBusy() {
		return false
	}
	short, cancel := context.WithTimeout(ctx, workPatience)
	defer cancel()
	if _, err := g.sup.Count(short); err == nil || errors.Is(err, supervise.ErrNotRunning) {
		return true
	}
	if ctx.Err() == nil {
		t.later(ctx, g)
	}
	return false
}

func (t *tree) later(ctx context.Context, g *group) {
	g.work(true)
	go func() {
		_, _ = g.sup.Count(ctx)
		g.work(false)
		t.nudge()
	}()
}

// launch starts a group in the one above it. What is dead of it takes its time to come up; if it does not, all of it is tried again
// after a rest.
func (t *tree) launch(ctx context.Context, above, g *group) {
	g.freshen(false)
	tried := make(chan struct{})
	go func() {
		_, err := above.sup.RestartChild(ctx, g.name) // another error means that it runs
		close(tried)
		if start := (*supervise.StartError)(nil); !errors.As(err, &start) {
			return
		}
		select {
		case <-time.After(failedRest):
			g.freshen(true)
			t.nudge()
		case <-ctx.Done():
		}
	}()
	select {
	case <-tried:
	case <-time.After(workPatience):
	case <-ctx.Done():
	}
}

func (g *group) isFresh() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.fresh
}

func (g *group) freshen(fresh bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fresh = fresh
}

func (g *group) isBusy() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.busy
}

func (g *group) work(busy bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy = busy
}
