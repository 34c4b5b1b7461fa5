package supervise

import (
	"fmt"
	"math"
	"time"
)

// Spec is all that a supervisor is made from. It is data: a nested supervisor is made from its Spec anew whenever it
// is restarted.
type Spec struct {
	Name     string // for reports; a nested supervisor is called by its parent's name and its own child id
	Flags    Flags
	Children []ChildSpec // in start order; SimpleOneForOne: exactly one, the template

	// Events is told what happens here and in all supervisors below, each from its own goroutine: it must be safe for
	// concurrent use, return soon, and not call a supervisor.
	Events func(Event)
}

// Flags say what a supervisor does when a child ends. The zero value is OTP's: one_for_one, 1 restart in 5 seconds,
// never shut down by itself.
type Flags struct {
	Strategy     Strategy
	Intensity    int           // restarts allowed within Period; 1 if 0, none with NoRestarts
	Period       time.Duration // whole seconds; 5s if 0
	AutoShutdown AutoShutdown
}

// NoRestarts as Intensity has a supervisor give up at the first restart that would be due.
const NoRestarts = -1

const (
	defaultIntensity = 1
	defaultPeriod    = 5 * time.Second
	defaultShutdown  = 5 * time.Second
)

// ChildSpec says how one child is started, restarted and stopped.
type ChildSpec struct {
	ID          string // unique among siblings; by it a running child is found again when the specs change
	Start       Start
	Tree        *Spec // instead of Start: the child is a supervisor, made from this
	Restart     Restart
	Shutdown    time.Duration // time to end after being asked; 0 is 5s, and Infinity for supervisors; or BrutalKill
	Type        Type          // TypeSupervisor with Tree
	Significant bool          // its own end may shut the supervisor down, see AutoShutdown
}

const (
	// BrutalKill as Shutdown kills a child without asking first.
	BrutalKill time.Duration = -1
	// Infinity as Shutdown waits for as long as it takes.
	Infinity time.Duration = math.MaxInt64
)

func (f Flags) withDefaults() Flags {
	if f.Intensity == 0 {
		f.Intensity = defaultIntensity
	}
	if f.Period == 0 {
		f.Period = defaultPeriod
	}
	return f
}

// most is how many restarts may fall into one period.
func (f Flags) most() int { return max(f.Intensity, 0) }

func (c ChildSpec) withDefaults() ChildSpec {
	if c.Tree != nil {
		c.Type = TypeSupervisor
	}
	switch {
	case c.Shutdown != 0:
	case c.Type == TypeSupervisor:
		c.Shutdown = Infinity
	default:
		c.Shutdown = defaultShutdown
	}
	return c
}

// forget drops what only another start would need. A temporary child is never started again, so what its start
// function holds need not live as long as the child.
func (c *ChildSpec) forget() {
	if c.Restart == Temporary {
		c.Start, c.Tree = nil, nil
	}
}

// FormatShutdown spells a Shutdown: brutal_kill, infinity, or a duration such as 5s.
func FormatShutdown(d time.Duration) string {
	switch d {
	case BrutalKill:
		return "brutal_kill"
	case Infinity:
		return "infinity"
	}
	return d.String()
}

// ParseShutdown reads what FormatShutdown writes.
func ParseShutdown(text string) (time.Duration, error) {
	switch text {
	case "brutal_kill":
		return BrutalKill, nil
	case "infinity":
		return Infinity, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%w: %q is neither a duration nor brutal_kill nor infinity", ErrInvalidShutdown, text)
	}
	return d, nil
}
