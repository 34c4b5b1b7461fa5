package supervise

import (
	"context"
	"slices"
	"time"
)

// exited decides what follows from the end of a child.
func (r *run) exited(ctx context.Context, e exit) {
	c := e.child
	if c.state != Running || c.pid != e.pid || r.quit != nil {
		return // it was stopped by this supervisor, or the supervisor stops
	}
	r.ended(c, e.reason)
	failed := c.spec.Restart == Permanent || !orderly(e.reason)
	if failed {
		r.report(Report{Event: Exited, ID: c.spec.ID, Reason: e.reason, Uptime: time.Since(c.started)})
	}
	if failed && c.spec.Restart != Temporary {
		r.restart(ctx, c)
		return
	}
	r.drop(c)
	r.report(Report{Event: Ended, ID: c.spec.ID, Reason: e.reason, Uptime: time.Since(c.started)})
	r.autoShutdown(c)
}

// ended notes that a child runs no longer.
func (r *run) ended(c *child, reason error) {
	if o, ok := c.proc.(orphan); ok && o.Orphaned() {
		r.orphans = append(r.orphans, o)
	}
	c.state, c.proc, c.reason = Terminated, nil, reason
}

// drop forgets the specification of a child that ended, if that is how it is with its kind.
func (r *run) drop(c *child) {
	if c.spec.Restart == Temporary || r.flags.Strategy == Dynamic {
		r.remove(c)
	}
}

// restart starts a child again, and by the strategy others with it. If that fails it is tried again, in its turn and
// counted again, so that the supervisor answers between the tries.
func (r *run) restart(ctx context.Context, c *child) {
	if !r.mayRestart() {
		r.report(Report{Event: GaveUp, ID: c.spec.ID, Reason: ErrIntensity})
		c.state = Terminated
		r.drop(c)
		r.quit = ErrIntensity
		return
	}
	c.restarts++
	failed, err := c, error(nil)
	switch r.flags.Strategy {
	case OneForAll:
		failed, err = r.restartList(ctx, r.list)
	case RestForOne:
		failed, err = r.restartList(ctx, r.list[slices.Index(r.list, c):])
	default:
		err = r.start(ctx, c)
	}
	if err != nil && ctx.Err() == nil {
		failed.state = Restarting
		r.again = append(r.again, failed)
	}
}

// restartList stops children in reverse order and starts them in order. Temporary ones are gone after it.
func (r *run) restartList(ctx context.Context, list []*child) (*child, error) {
	list = slices.Clone(list)
	for _, c := range slices.Backward(list) {
		r.stop(c, ErrShutdown)
		if c.spec.Restart == Temporary {
			r.remove(c)
		}
	}
	list = slices.DeleteFunc(list, func(c *child) bool { return c.spec.Restart == Temporary })
	return r.startList(ctx, list)
}

// mayRestart counts a restart as OTP does: in whole seconds, those at the very edge of the period included.
func (r *run) mayRestart() bool {
	r.window.Lock()
	defer r.window.Unlock()
	r.restarts = append(r.recent(), r.second())
	return len(r.restarts) <= r.flags.allowed()
}

// recent are the restarts within the period that ends now. The caller holds window.
func (r *run) recent() []int64 {
	from := r.second() - int64(r.flags.Period/time.Second)
	return slices.DeleteFunc(slices.Clone(r.restarts), func(t int64) bool { return t < from })
}

func (r *run) second() int64 { return int64(time.Since(r.began) / time.Second) }

// Restarts is how many restarts count at this moment: those within the period. It does not wait for the supervisor, which
// may be starting a child, and is 0 unless Run is at work.
func (s *Supervisor) Restarts() int {
	s.mu.Lock()
	r := s.now
	s.mu.Unlock()
	if r == nil {
		return 0
	}
	r.window.Lock()
	defer r.window.Unlock()
	return len(r.recent())
}

// Waiting is how many ends of children the supervisor has not seen yet. It does not wait for it.
func (s *Supervisor) Waiting() int {
	s.mu.Lock()
	r := s.now
	s.mu.Unlock()
	if r == nil {
		return 0
	}
	return r.exits.waiting()
}

// autoShutdown ends the supervisor with its significant children, if its flags say so.
func (r *run) autoShutdown(c *child) {
	left := func(o *child) bool { return o.spec.Significant && o.state != Terminated }
	all := r.flags.AutoShutdown == AllSignificant && !slices.ContainsFunc(r.list, left)
	if c.spec.Significant && (all || r.flags.AutoShutdown == AnySignificant) {
		r.report(Report{Event: GaveUp, ID: c.spec.ID, Reason: ErrAutoShutdown})
		r.quit = ErrAutoShutdown
	}
}
