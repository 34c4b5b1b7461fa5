package supervise

import (
	"context"
	"fmt"
	"math"
	"time"
)

// Flags of a supervisor. The zero value is OTP's default: one_for_one, one restart within five seconds.
type Flags struct {
	Strategy     Strategy
	Intensity    int           // restarts allowed within Period; DefaultIntensity if 0, none if NoRestarts
	Period       time.Duration // in whole seconds, as OTP counts; DefaultPeriod if 0
	AutoShutdown AutoShutdown
	MaxChildren  int          // of a Dynamic supervisor; no bound if 0
	Report       func(Report) // is told what happens, from the supervisor's goroutine; may be nil
}

// ChildSpec says how a child is started, restarted and stopped. ID and Start are required; a [Dynamic] supervisor
// makes an ID where there is none.
type ChildSpec struct {
	ID          string
	Start       Start
	Restart     Restart
	Shutdown    time.Duration // how long it may take to end; DefaultShutdown if 0, Infinity if it is a supervisor; BrutalKill, Infinity
	Kind        Kind
	Significant bool // its end may end the supervisor: see AutoShutdown
}

// Start brings a child up and returns when it is ready. It gives up when ctx ends. ErrIgnore says that there is nothing
// to run: that is no failure.
type Start func(ctx context.Context) (Child, error)

// OTP's defaults.
const (
	DefaultIntensity = 1
	DefaultPeriod    = 5 * time.Second
	DefaultShutdown  = 5 * time.Second
)

// NoRestarts as an Intensity: the first failure ends the supervisor.
const NoRestarts = -1

// Special values of ChildSpec.Shutdown.
const (
	BrutalKill time.Duration = -1            // killed without being asked
	Infinity   time.Duration = math.MaxInt64 // waited for, however long it takes
)

// SpecError says what is wrong with a specification. Nothing was started.
type SpecError struct {
	ID   string // of the child; empty if it is about the flags or has none
	What string
}

func (e *SpecError) Error() string {
	if e.ID == "" {
		return "supervise: " + e.What
	}
	return fmt.Sprintf("supervise: child %q: %s", e.ID, e.What)
}

// check refuses flags that contradict themselves, and fills in the defaults.
func (f *Flags) check() error {
	switch {
	case f.Strategy > Dynamic || f.AutoShutdown > AllSignificant:
		return &SpecError{What: fmt.Sprintf("there is no %s, %s", f.Strategy, f.AutoShutdown)}
	case f.Intensity < NoRestarts:
		return &SpecError{What: fmt.Sprintf("an intensity of %d", f.Intensity)}
	case f.Period < 0 || f.Period%time.Second != 0:
		return &SpecError{What: fmt.Sprintf("a period of %s: it is counted in whole seconds", f.Period)}
	case f.MaxChildren < 0 || f.MaxChildren > 0 && f.Strategy != Dynamic:
		return &SpecError{What: "MaxChildren is for dynamic supervisors"}
	}
	if f.Intensity == 0 {
		f.Intensity = DefaultIntensity
	}
	if f.Period == 0 {
		f.Period = DefaultPeriod
	}
	return nil
}

// allowed is the number of restarts within the period.
func (f *Flags) allowed() int { return max(f.Intensity, 0) }

// check refuses a specification that cannot work under these flags, and fills in the defaults.
func (c *ChildSpec) check(f Flags) error {
	switch {
	case c.ID == "" && f.Strategy != Dynamic:
		return &SpecError{What: "a child without an ID"}
	case c.Start == nil:
		return &SpecError{c.ID, "it has no Start"}
	case c.Restart > Temporary || c.Kind > IsSupervisor:
		return &SpecError{c.ID, fmt.Sprintf("there is no %s, %s", c.Restart, c.Kind)}
	case c.Shutdown < BrutalKill:
		return &SpecError{c.ID, fmt.Sprintf("a shutdown of %s", c.Shutdown)}
	case c.Significant && c.Restart == Permanent:
		return &SpecError{c.ID, "a permanent child cannot be significant: it never ends by itself"}
	case c.Significant && f.AutoShutdown == Never:
		return &SpecError{c.ID, "it is significant, and the supervisor has auto_shutdown never"}
	}
	if c.Shutdown == 0 {
		c.Shutdown = DefaultShutdown
		if c.Kind == IsSupervisor {
			c.Shutdown = Infinity
		}
	}
	return nil
}

// checkAll is check for a list; an ID stands in it once.
func checkAll(f *Flags, specs []ChildSpec) ([]ChildSpec, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	if f.Strategy == Dynamic && len(specs) > 0 {
		return nil, &SpecError{specs[0].ID, "a dynamic supervisor starts without children"}
	}
	list := make([]ChildSpec, len(specs))
	seen := map[string]bool{}
	for i, c := range specs {
		if err := c.check(*f); err != nil {
			return nil, err
		}
		if seen[c.ID] {
			return nil, &SpecError{c.ID, "it is there twice"}
		}
		seen[c.ID], list[i] = true, c
	}
	return list, nil
}
