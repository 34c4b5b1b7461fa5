package supervise

import (
	"context"
	"slices"
	"time"
)

// Info is one child as it stands.
type Info struct {
	Spec     ChildSpec
	State    State
	Child    Child     // while it runs
	Started  time.Time // the last time
	Restarts int       // since its specification came
	Reason   error     // of its last end or failed start
}

// Count is how many children there are.
type Count struct{ Specs, Active, Supervisors, Workers, Orphans int }

// Children lists the children in the order of starting. OTP lists them the other way round.
func (s *Supervisor) Children(ctx context.Context) (list []Info, err error) {
	err = s.do(ctx, func(r *run) {
		for _, c := range r.list {
			list = append(list, c.info())
		}
	})
	return list, err
}

// Child returns one child.
func (s *Supervisor) Child(ctx context.Context, id string) (Info, error) {
	return s.ask(ctx, id, func(*run, *child) error { return nil })
}

// Count counts the children, and the goroutines that were given up and have not returned.
func (s *Supervisor) Count(ctx context.Context) (n Count, err error) {
	err = s.do(ctx, func(r *run) {
		r.orphans = slices.DeleteFunc(r.orphans, func(o orphan) bool { return !o.Orphaned() })
		n = Count{Specs: len(r.list), Orphans: len(r.orphans)}
		for _, c := range r.list {
			if c.state == Running {
				n.Active++
			}
			if c.spec.Kind == IsSupervisor {
				n.Supervisors++
			} else {
				n.Workers++
			}
		}
	})
	return n, err
}

// StartChild adds a child and starts it, after all others. If it does not start it is not added. One that has nothing
// to run is added all the same, unless it is temporary or the supervisor is dynamic.
func (s *Supervisor) StartChild(ctx context.Context, spec ChildSpec) (info Info, err error) {
	derr := s.do(ctx, func(r *run) { info, err = r.startChild(ctx, spec) })
	if derr != nil {
		return Info{}, derr
	}
	return info, err
}

func (r *run) startChild(ctx context.Context, spec ChildSpec) (Info, error) {
	if err := spec.check(r.flags); err != nil {
		return Info{}, err
	}
	switch c := r.byID[spec.ID]; {
	case spec.ID == "":
		spec.ID = r.newID()
	case c == nil:
	case c.state == Terminated:
		return c.info(), ErrAlreadyPresent
	default:
		return c.info(), ErrAlreadyStarted
	}
	if r.flags.MaxChildren > 0 && len(r.list) >= r.flags.MaxChildren {
		return Info{}, ErrMaxChildren
	}
	c := &child{spec: spec, state: Terminated}
	r.add(c)
	if err := r.start(ctx, c); err != nil {
		r.remove(c)
		return Info{}, &StartError{ID: spec.ID, Err: err}
	}
	return c.info(), nil
}

// TerminateChild stops a child. Its specification stays, unless it is temporary or the supervisor is dynamic. A child
// that is being restarted is not tried again.
func (s *Supervisor) TerminateChild(ctx context.Context, id string) error {
	_, err := s.ask(ctx, id, func(r *run, c *child) error {
		r.stop(c, ErrShutdown)
		r.drop(c)
		return nil
	})
	return err
}

// RestartChild starts a child that is terminated.
func (s *Supervisor) RestartChild(ctx context.Context, id string) (Info, error) {
	return s.ask(ctx, id, func(r *run, c *child) error {
		if err := r.idle(c); err != nil {
			return err
		}
		if err := r.start(ctx, c); err != nil {
			return &StartError{ID: id, Err: err}
		}
		return nil
	})
}

// DeleteChild forgets the specification of a child that is terminated.
func (s *Supervisor) DeleteChild(ctx context.Context, id string) error {
	_, err := s.ask(ctx, id, func(r *run, c *child) error {
		if err := r.idle(c); err != nil {
			return err
		}
		r.remove(c)
		return nil
	})
	return err
}

// idle refuses what is only for children that are terminated.
func (r *run) idle(c *child) error {
	switch {
	case r.flags.Strategy == Dynamic:
		return ErrDynamic
	case c.state == Running:
		return ErrRunning
	case c.state == Restarting:
		return ErrRestarting
	}
	return nil
}

// ask does something with one child and tells how it stands afterwards.
func (s *Supervisor) ask(ctx context.Context, id string, f func(r *run, c *child) error) (info Info, err error) {
	derr := s.do(ctx, func(r *run) {
		c := r.byID[id]
		if c == nil {
			err = ErrNotFound
			return
		}
		err = f(r, c)
		info = c.info()
	})
	if derr != nil {
		return Info{}, derr
	}
	return info, err
}

func (c *child) info() Info {
	return Info{
		Spec: c.spec, State: c.state, Child: c.proc, Started: c.started, Restarts: c.restarts, Reason: c.reason,
	}
}
