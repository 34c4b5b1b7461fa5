package supervise

import (
	"context"
	"errors"
)

// Change is code_change of a supervisor: flags and specifications of another version take the place of those that
// are there, by ID. A child whose ID stays goes on running under its new specification; one whose ID is gone goes on as
// it is, after the others; one that is new is added and not started: that is for the upgrade to do, with [Supervisor.RestartChild].
// A mistake changes nothing. A supervisor that does not run begins with the new ones.
func (s *Supervisor) Change(ctx context.Context, flags Flags, specs ...ChildSpec) error {
	list, err := checkAll(&flags, specs)
	if err != nil {
		return err
	}
	for {
		err := s.changeNow(ctx, flags, list)
		if !errors.Is(err, ErrNotRunning) {
			return err // it has ended in this moment: what begins next begins with the new ones
		}
	}
}

func (s *Supervisor) changeNow(ctx context.Context, flags Flags, list []ChildSpec) error {
	s.mu.Lock()
	if s.now == nil {
		defer s.mu.Unlock()
		s.flags, s.specs = flags, list
		return nil
	}
	same := (s.flags.Strategy == Dynamic) == (flags.Strategy == Dynamic)
	s.mu.Unlock()
	if !same {
		return &SpecError{What: "a supervisor that runs cannot become dynamic, or cease to be"}
	}
	return s.do(ctx, func(r *run) {
		s.mu.Lock()
		s.flags, s.specs = flags, list
		s.mu.Unlock()
		r.change(flags, list)
	})
}

func (r *run) change(flags Flags, specs []ChildSpec) {
	r.window.Lock()
	r.flags = flags
	r.window.Unlock()
	if flags.Strategy == Dynamic {
		return
	}
	old := r.list
	r.list = nil
	named := map[string]bool{}
	for _, spec := range specs {
		named[spec.ID] = true
		c := r.byID[spec.ID]
		if c == nil {
			c = &child{state: Terminated}
			r.byID[spec.ID] = c
		}
		c.spec = spec
		r.list = append(r.list, c)
	}
	for _, c := range old {
		if !named[c.spec.ID] {
			r.list = append(r.list, c)
		}
	}
}
