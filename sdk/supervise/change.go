package supervise

import (
	"context"
	"fmt"
)

// ChangeSpecs gives the supervisor new flags and specs, as a new version of the code would. A child whose id is in
// both keeps running and follows the new spec from now on. An id that is new is added, stopped: RestartChild starts
// it. An id that is missing stays, behind the others, until it is terminated and deleted. The children of a
// simple_one_for_one supervisor all follow the new template.
//
// If anything is wrong with the new ones, nothing changes. Nested supervisors that run are not changed: each has a
// ChangeSpecs of its own. Whether a supervisor is simple_one_for_one cannot change.
func (s *Supervisor) ChangeSpecs(ctx context.Context, flags Flags, specs ...ChildSpec) error {
	return s.do(ctx, func() error {
		if err := (checker{}).supervisor(s.name, flags, specs); err != nil {
			return err
		}
		if (flags.Strategy == SimpleOneForOne) != (s.template != nil) {
			return &SpecError{
				Where: s.name, Err: ErrBadCombination,
				Hint: fmt.Sprintf("cannot go from %s to %s", s.flags.Strategy, flags.Strategy),
			}
		}
		s.flags = flags.withDefaults()
		s.merge(specs)
		s.emit(Event{Kind: SpecsChanged})
		return nil
	})
}

func (s *Supervisor) merge(specs []ChildSpec) {
	if s.template != nil {
		*s.template = specs[0].withDefaults()
		return
	}
	old := s.kids
	s.kids = children{byID: make(map[string]*child, len(specs))}
	for _, spec := range specs {
		spec = spec.withDefaults()
		c := old.byID[spec.ID]
		if c == nil {
			c = &child{id: spec.ID}
		} else {
			old.remove(c)
		}
		c.spec = &spec
		if c.now != nil {
			spec.forget()
		}
		s.kids.add(c)
	}
	for _, c := range old.from(old.first) {
		s.kids.add(c)
	}
}
