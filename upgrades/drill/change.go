package drill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// change is an upgrade or a rollback while it goes on. It knows the first event of each kind.
type change struct {
	mu    sync.Mutex
	seen  map[string]control.Event
	wake  chan struct{}
	done  chan struct{}
	err   error
	begun time.Time
	ended time.Time
}

func (in *instance) upgrade(ctx context.Context, to string) *change {
	return in.follow(ctx, in.Upgrade, to)
}

func (in *instance) rollback(ctx context.Context) *change { return in.follow(ctx, in.Rollback, "") }

type changer func(context.Context, control.UpgradeRequest, func(control.Event)) error

func (in *instance) follow(ctx context.Context, run changer, to string) *change {
	c := &change{seen: map[string]control.Event{}, wake: make(chan struct{}, 1), done: make(chan struct{}), begun: time.Now()}
	go func() {
		defer close(c.done)
		c.err = run(ctx, control.UpgradeRequest{To: to, By: "drill"}, c.see)
		c.ended = time.Now()
	}()
	return c
}

func (c *change) see(e control.Event) {
	c.mu.Lock()
	if _, seen := c.seen[e.Kind]; !seen {
		c.seen[e.Kind] = e
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// when is the time of the first event of that kind, or of the end of the change if there was none.
func (c *change) when(kind string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.seen[kind]; ok {
		return e.Time
	}
	return c.ended
}

// pause is what the first event of that kind tells of it, 0 if there was none.
func (c *change) pause(kind string) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.seen[kind].Pause * float64(time.Second))
}

// reached waits for an event of that kind.
func (c *change) reached(ctx context.Context, kind string) error {
	for {
		c.mu.Lock()
		_, ok := c.seen[kind]
		c.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-c.wake:
		case <-c.done:
			return errors.Join(fmt.Errorf("it ended without %q", kind), c.err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// end waits for the end.
func (c *change) end(ctx context.Context) error {
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
