package supervise

import (
	"errors"
	"slices"
	"time"
)

// stopAll ends every child: one by one in reverse order, those of a dynamic supervisor all at once.
func (r *run) stopAll(reason error) {
	r.again = nil
	if r.flags.Strategy == Dynamic {
		r.stopAtOnce(reason)
		return
	}
	for _, c := range slices.Backward(slices.Clone(r.list)) {
		r.stop(c, reason)
	}
}

// stop ends one child and returns when it has ended, or was given up.
func (r *run) stop(c *child, reason error) {
	if c.state != Running {
		c.state = Terminated
		return
	}
	kill := r.ask(c, reason)
	why := r.await(c, kill)
	r.ended(c, why)
	r.reportStop(c, why)
}

// ask tells a child to end, and returns a channel that says when to kill it: nil for never.
func (r *run) ask(c *child, reason error) <-chan time.Time {
	switch d := c.patience(reason); d {
	case BrutalKill:
		c.proc.Kill()
		return nil
	case Infinity:
		c.proc.Shutdown(reason)
		return nil
	default:
		c.proc.Shutdown(reason)
		return time.After(d)
	}
}

// patience is how long a child may take to end; BrutalKill if it is not asked. One that may go on without its supervisor
// is asked in any case.
func (c *child) patience(reason error) time.Duration {
	switch d := c.spec.Shutdown; {
	case d != BrutalKill || !parting(reason):
		return d
	case c.spec.Kind == IsSupervisor:
		return Infinity
	default:
		return 0
	}
}

// await returns the reason of a child's end. Exits of others stay in the mailbox.
func (r *run) await(c *child, kill <-chan time.Time) error {
	for {
		if reason, ok := r.exits.pick(c); ok {
			return reason
		}
		select {
		case <-r.exits.wake:
		case <-kill:
			c.proc.Kill()
			kill = nil
		}
	}
}

// reportStop reports an end that was not what the supervisor asked for.
func (r *run) reportStop(c *child, why error) {
	rep := Report{Event: Stopped, ID: c.spec.ID, Reason: why, Uptime: time.Since(c.started)}
	brutal := c.spec.Shutdown == BrutalKill && errors.Is(why, ErrKilled)
	quiet := orderly(why) && (c.spec.Restart != Permanent || !errors.Is(why, ErrNormal))
	if !brutal && !quiet {
		rep.Event = StopFailed
	}
	r.report(rep)
}

// stopAtOnce ends the children of a dynamic supervisor together: each has its own time, and all begin now.
func (r *run) stopAtOnce(reason error) {
	began := time.Now()
	left := map[*child]bool{}
	var times []time.Duration
	for _, c := range r.list {
		if c.state != Running {
			continue
		}
		left[c] = true
		switch d := c.patience(reason); {
		case d == BrutalKill:
			c.proc.Kill()
			continue
		case d != Infinity && !slices.Contains(times, d):
			times = append(times, d)
		}
		c.proc.Shutdown(reason)
	}
	slices.Sort(times)
	for _, d := range times {
		r.gather(left, time.After(time.Until(began.Add(d))))
		for c := range left {
			if c.patience(reason) == d {
				c.proc.Kill()
			}
		}
	}
	r.gather(left, nil)
	r.list, r.byID = nil, map[string]*child{}
}

// gather takes the exits of those that are left, until none is or the time is up.
func (r *run) gather(left map[*child]bool, until <-chan time.Time) {
	for {
		for _, e := range r.exits.take() {
			if left[e.child] && e.pid == e.child.pid {
				delete(left, e.child)
				r.ended(e.child, e.reason)
				r.reportStop(e.child, e.reason)
			}
		}
		if len(left) == 0 {
			return
		}
		select {
		case <-r.exits.wake:
		case <-until:
			return
		}
	}
}
