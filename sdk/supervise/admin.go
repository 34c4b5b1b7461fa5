package supervise

import (
	"context"
	"strconv"
	"time"
)

// Info is what a supervisor knows of one child.
type Info struct {
	ID          string
	State       State
	Type        Type
	Restart     Restart
	Significant bool
	Restarts    int       // how often it was started again
	Started     time.Time // zero unless running
	Child       Child     // nil unless running; a nested supervisor is a *Supervisor
}

// Counts are OTP's count_children.
type Counts struct {
	Specs       int // children with a spec of their own, whether they run or not; the template counts as 1
	Active      int // children that run
	Supervisors int // children of that type, whether they run or not
	Workers     int
}

// StartChild adds a child at the end and starts it. Its error is a *SpecError, a *StartError, or ErrAlreadyStarted or
// ErrAlreadyPresent, with what is there in Info. A child whose Start says ErrIgnore is kept as stopped unless it is
// temporary.
//
// Like every call, it waits while the supervisor starts or stops something. If ctx ends first the caller gets ctx's
// error, and the supervisor may still do as it was asked.
func (s *Supervisor) StartChild(ctx context.Context, spec ChildSpec) (Info, error) {
	return ask(ctx, s, func() (Info, error) {
		if s.template != nil {
			return Info{}, ErrSimpleOneForOne
		}
		if err := (checker{}).child(s.name, s.flags, spec); err != nil {
			return Info{}, err
		}
		if old := s.kids.byID[spec.ID]; old != nil {
			return s.info(old), alreadyThere(old)
		}
		spec = spec.withDefaults()
		return s.startNew(&child{id: spec.ID, spec: &spec})
	})
}

func alreadyThere(c *child) error {
	if c.now != nil {
		return ErrAlreadyStarted
	}
	return ErrAlreadyPresent
}

// StartDynamic starts another child from the template of a simple_one_for_one supervisor, whose Start gets arg. The
// supervisor names it; the id stays the same over restarts. A child whose Start says ErrIgnore is not kept.
func (s *Supervisor) StartDynamic(ctx context.Context, arg any) (Info, error) {
	return ask(ctx, s, func() (Info, error) {
		if s.template == nil {
			return Info{}, ErrNotDynamic
		}
		return s.startNew(&child{id: s.nextID(), spec: s.template, arg: arg})
	})
}

func (s *Supervisor) startNew(c *child) (Info, error) {
	if err := s.launch(c); err != nil && !ignored(err) {
		return Info{}, &StartError{Supervisor: s.name, ID: c.id, Err: err}
	}
	switch {
	case s.template == nil:
		s.keep(c)
	case c.now != nil:
		if c.spec.Restart == Temporary {
			c.arg = nil // never needed again
		}
		s.kids.add(c)
	}
	return s.info(c), nil
}

// TerminateChild stops a child as its spec says and keeps the spec, unless the child is temporary or dynamic. It is no
// error if the child does not run; a dynamic child that has ended counts as terminated.
func (s *Supervisor) TerminateChild(ctx context.Context, id string) error {
	return s.do(ctx, func() error {
		c := s.kids.byID[id]
		switch {
		case c != nil:
			s.stopChild(c)
			s.retire(c)
			return nil
		case s.template != nil && s.wasDynamic(id):
			return nil
		}
		return ErrNotFound
	})
}

func (s *Supervisor) wasDynamic(id string) bool {
	n, err := strconv.Atoi(id)
	return err == nil && 0 < n && n <= s.issued
}

// RestartChild starts a child that was terminated or has ended. It does not count as a restart.
func (s *Supervisor) RestartChild(ctx context.Context, id string) (Info, error) {
	return ask(ctx, s, func() (Info, error) {
		c, err := s.stoppedChild(id)
		if err != nil {
			return Info{}, err
		}
		if err := s.launch(c); err != nil && !ignored(err) {
			return Info{}, &StartError{Supervisor: s.name, ID: c.id, Err: err}
		}
		return s.info(c), nil
	})
}

// DeleteChild forgets a child that is stopped.
func (s *Supervisor) DeleteChild(ctx context.Context, id string) error {
	return s.do(ctx, func() error {
		c, err := s.stoppedChild(id)
		if err == nil {
			s.kids.remove(c)
		}
		return err
	})
}

func (s *Supervisor) stoppedChild(id string) (*child, error) {
	if s.template != nil {
		return nil, ErrSimpleOneForOne
	}
	c := s.kids.byID[id]
	switch {
	case c == nil:
		return nil, ErrNotFound
	case c.state() == Running:
		return nil, ErrRunning
	case c.state() == Restarting:
		return nil, ErrRestarting
	}
	return c, nil
}

// Children lists the children, the newest first.
func (s *Supervisor) Children(ctx context.Context) ([]Info, error) {
	return ask(ctx, s, func() ([]Info, error) {
		all := make([]Info, 0, len(s.kids.byID))
		for c := s.kids.last; c != nil; c = c.prev {
			all = append(all, s.info(c))
		}
		return all, nil
	})
}

// Child is what Children says of one of them.
func (s *Supervisor) Child(ctx context.Context, id string) (Info, error) {
	return ask(ctx, s, func() (Info, error) {
		if c := s.kids.byID[id]; c != nil {
			return s.info(c), nil
		}
		return Info{}, ErrNotFound
	})
}

// Count counts the children.
func (s *Supervisor) Count(ctx context.Context) (Counts, error) {
	return ask(ctx, s, func() (Counts, error) {
		n := Counts{Specs: len(s.kids.byID)}
		for c := s.kids.first; c != nil; c = c.next {
			s.countChild(c, &n)
		}
		if s.template != nil {
			n.Specs = 1
		}
		return n, nil
	})
}

func (s *Supervisor) countChild(c *child, n *Counts) {
	if c.spec.Type == TypeSupervisor {
		n.Supervisors++
	} else {
		n.Workers++
	}
	if c.now == nil {
		return
	}
	if over, _ := s.inbox.outcome(c.now); !over {
		n.Active++
	}
}

// ChildSpec is the spec of a child with the defaults filled in; of a temporary child without what would start it.
func (s *Supervisor) ChildSpec(ctx context.Context, id string) (ChildSpec, error) {
	return ask(ctx, s, func() (ChildSpec, error) {
		if c := s.kids.byID[id]; c != nil {
			return *c.spec, nil
		}
		return ChildSpec{}, ErrNotFound
	})
}

func (s *Supervisor) info(c *child) Info {
	i := Info{
		ID: c.id, State: c.state(), Type: c.spec.Type, Restart: c.spec.Restart,
		Significant: c.spec.Significant, Restarts: c.restarts,
	}
	if c.now != nil {
		i.Started, i.Child = c.now.born, c.now.child
	}
	return i
}
