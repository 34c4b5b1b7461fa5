package supervise

import (
	"fmt"
	"slices"
	"time"
)

// CheckSpecs says what is wrong with the flags or the specs, nested supervisors included; nil if nothing is. It starts
// nothing. The error is a *SpecError.
func CheckSpecs(flags Flags, specs ...ChildSpec) error {
	return checker{}.supervisor("", flags, specs)
}

// Check does as CheckSpecs.
func (s *Spec) Check() error {
	return checker{}.tree(s.Name, s)
}

// checker holds the supervisors on the way down.
type checker struct{ above []*Spec }

func (k checker) tree(where string, s *Spec) error {
	if slices.Contains(k.above, s) {
		return &SpecError{Where: where, Err: ErrCycle}
	}
	return checker{append(slices.Clip(k.above), s)}.supervisor(where, s.Flags, s.Children)
}

func (k checker) supervisor(where string, flags Flags, specs []ChildSpec) error {
	if err := checkFlags(where, flags); err != nil {
		return err
	}
	if flags.Strategy == SimpleOneForOne && len(specs) != 1 {
		return &SpecError{Where: where, Err: ErrBadStartSpec, Hint: fmt.Sprintf("found %d", len(specs))}
	}
	seen := make(map[string]bool, len(specs))
	for _, c := range specs {
		if err := k.child(where, flags, c); err != nil {
			return err
		}
		if seen[c.ID] {
			return &SpecError{Where: under(where, c.ID), Err: ErrDuplicateID}
		}
		seen[c.ID] = true
	}
	return nil
}

func checkFlags(where string, f Flags) error {
	fault := func(err error, found any) error {
		return &SpecError{Where: where, Err: err, Hint: fmt.Sprint("found ", found)}
	}
	switch {
	case f.Strategy > SimpleOneForOne:
		return fault(ErrInvalidStrategy, f.Strategy)
	case f.Intensity < NoRestarts:
		return fault(ErrInvalidIntensity, f.Intensity)
	case f.Period < 0 || f.Period%time.Second != 0:
		return fault(ErrInvalidPeriod, f.Period.String()+", restarts are counted in whole seconds")
	case f.AutoShutdown > AllSignificant:
		return fault(ErrInvalidAutoShutdown, f.AutoShutdown)
	case f.Strategy == SimpleOneForOne && f.AutoShutdown != NeverShutdown:
		return fault(ErrBadCombination, fmt.Sprintf("simple_one_for_one with auto_shutdown %s", f.AutoShutdown))
	}
	return nil
}

func (k checker) child(where string, flags Flags, c ChildSpec) error {
	if c.ID == "" {
		return &SpecError{Where: where, Err: ErrMissingID}
	}
	where = under(where, c.ID)
	if err := checkStart(where, c); err != nil {
		return err
	}
	if err := checkRules(where, flags, c); err != nil {
		return err
	}
	if c.Tree != nil {
		return k.tree(where, c.Tree)
	}
	return nil
}

func checkStart(where string, c ChildSpec) error {
	switch {
	case c.Start == nil && c.Tree == nil:
		return &SpecError{Where: where, Err: ErrMissingStart, Hint: "set Start or Tree"}
	case c.Start != nil && c.Tree != nil:
		return &SpecError{Where: where, Err: ErrBadCombination, Hint: "found both Start and Tree"}
	}
	return nil
}

func checkRules(where string, flags Flags, c ChildSpec) error {
	fault := func(err error, found string) error { return &SpecError{Where: where, Err: err, Hint: "found " + found} }
	switch {
	case c.Restart > Temporary:
		return fault(ErrInvalidRestart, c.Restart.String())
	case c.Shutdown < BrutalKill:
		return fault(ErrInvalidShutdown, c.Shutdown.String())
	case c.Type > TypeSupervisor:
		return fault(ErrInvalidType, c.Type.String())
	case c.Significant && flags.AutoShutdown == NeverShutdown:
		return fault(ErrBadCombination, "a significant child with auto_shutdown never")
	case c.Significant && c.Restart == Permanent:
		return fault(ErrBadCombination, "a significant child that is permanent")
	}
	return nil
}

func under(where, id string) string {
	if where == "" {
		return id
	}
	return where + "/" + id
}
