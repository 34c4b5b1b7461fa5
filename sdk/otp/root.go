package otp

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/theseusd/theseus/sdk/supervise"
)

// root is the supervisor of a node that is hosted. It runs while the node is awake.
type root struct {
	make   func(n *Node) (*supervise.Supervisor, error) // nil: there is none
	failed chan error
	turn   chan struct{} // held while it is started or stopped

	mu     sync.Mutex
	wanted bool // it is to be started
	child  supervise.Child
	ended  chan struct{} // closed when nothing of it runs
}

func newRoot(f func(n *Node) (*supervise.Supervisor, error)) root {
	return root{make: f, failed: make(chan error, 1), turn: make(chan struct{}, 1), ended: closed()}
}

// start returns when the root is ready; the one before has ended.
func (r *root) start(ctx context.Context, n *Node) error {
	if r.make == nil {
		return nil
	}
	r.want(true)
	return r.inTurn(ctx, func() error {
		if !r.want(false) {
			return nil
		}
		if !came(ctx, r.ended) {
			return context.Cause(ctx)
		}
		return r.run(ctx, n)
	})
}

func (r *root) run(ctx context.Context, n *Node) error {
	s, err := r.make(n)
	if err != nil {
		return fmt.Errorf("otp: the root of the processes: %w", err)
	}
	ended := make(chan struct{})
	c, err := supervise.Go(func(ctx context.Context, ready func()) error {
		defer close(ended)
		return s.Run(ctx, ready)
	})(ctx)
	if err != nil {
		r.began(nil, ended) // it may still be letting go of what it has taken over
		return fmt.Errorf("otp: the root of the processes does not start: %w", err)
	}
	r.began(c, ended)
	c.Watch(func(reason error) {
		if !errors.Is(reason, supervise.ErrHandover) && n.Err() == nil {
			r.fail(fmt.Errorf("it has ended: %w", orNormal(reason)))
		}
	})
	return nil
}

// want says whether the root is to be started, and returns what was said before.
func (r *root) want(yes bool) (before bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, r.wanted = r.wanted, yes
	return before
}

func (r *root) began(c supervise.Child, ended chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.child, r.ended = c, ended
}

func (r *root) fail(err error) {
	select {
	case r.failed <- err:
	default:
	}
}

// inTurn runs f while nobody else starts or stops the root.
func (r *root) inTurn(ctx context.Context, f func() error) error {
	if !r.take(ctx) {
		return context.Cause(ctx)
	}
	defer func() { <-r.turn }()
	return f()
}

// take is true if it is the caller's turn; nobody has to wait for a free one, however late it is.
func (r *root) take(ctx context.Context) bool {
	select {
	case r.turn <- struct{}{}:
		return true
	default:
	}
	select {
	case r.turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// again starts the root in the background.
func (r *root) again(n *Node) {
	if r.make == nil {
		return
	}
	r.want(true)
	go func() {
		if err := r.start(n, n); err != nil && n.Err() == nil {
			r.fail(err)
		}
	}()
}

// stop has the root leave its children to another one, and returns when it has.
func (r *root) stop(ctx context.Context) error {
	r.want(false)
	return r.inTurn(ctx, func() error {
		r.want(false)
		r.shutdown(supervise.ErrHandover)
		if !came(ctx, r.ended) {
			return errors.New("otp: the root of the processes does not end")
		}
		return nil
	})
}

func (r *root) shutdown(reason error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.child != nil {
		r.child.Shutdown(reason)
	}
}
