package lab

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/theseusd/theseus/sdk/supervise"
)

// Fault is what happens to a worker.
type Fault string

// The faults.
const (
	Panic      Fault = "panic"       // it panics
	Exit       Fault = "exit"        // it ends by itself, with an error
	Kill9      Fault = "kill9"       // somebody sends it SIGKILL
	Hang       Fault = "hang"        // it answers no more; the lab has it killed after Patience
	Leak       Fault = "leak"        // it starts goroutines that never end; the lab has it killed for that
	SlowStart  Fault = "slow-start"  // it panics, and takes SlowFor to come up again
	StartError Fault = "start-error" // it panics, and fails to start Refusals times
)

// Faults lists them.
var Faults = []Fault{Panic, Exit, Kill9, Hang, Leak, SlowStart, StartError}

// Level is what a worker is.
type Level string

// The levels.
const (
	Process   Level = "process"
	Goroutine Level = "goroutine"
	Plugin    Level = "plugin"
)

// Levels lists them.
var Levels = []Level{Process, Goroutine, Plugin}

// What the faults mean in numbers.
const (
	Patience = 100 * time.Millisecond // how long a worker may take to answer
	SlowFor  = 200 * time.Millisecond
	Refusals = 2
	Leaked   = 64 // goroutines that a leak is made of
)

// Limits of a plan.
const (
	MaxWorkers   = 10_000
	MaxPrograms  = 64 // processes of the operating system at once
	MaxCrashes   = 1000
	MaxIntensity = MaxCrashes * (1 + Refusals) // as many as the crashes may need
	MaxPeriod    = time.Hour
	maxName      = 32 // bytes
)

// Plan is one experiment. Check fills in what is zero.
type Plan struct {
	Strategy  supervise.Strategy
	Compare   bool // the other strategies as well
	Fault     Fault
	Level     Level
	Workers   int
	Names     []string
	Victim    string // the one that is hurt; by the seed if empty
	Crashes   int
	Intensity int  // restarts allowed within Period; supervise.NoRestarts for none
	Escalate  bool // crash until the supervisor gives up
	Period    time.Duration
	Seed      uint64 // chooses victims and moments; 0 is the textbook case: one worker, every 10 ms
}

// Check refuses a plan that is wrong, says what is possible, and fills in the defaults.
func (p *Plan) Check() error {
	p.defaults()
	for _, check := range []func() error{p.checkFault, p.checkWorkers, p.checkNames, p.checkCounts} {
		if err := check(); err != nil {
			return err
		}
	}
	if p.Names == nil {
		p.Names = letters(p.Workers)
	}
	if p.Victim == "" && p.Seed == 0 {
		p.Victim = p.Names[0]
		if p.central() {
			p.Victim = p.Names[p.Workers/2]
		}
	}
	if !slices.Contains(p.Names, p.Victim) && p.Victim != "" {
		return fmt.Errorf("no worker is called %s: there are %s", p.Victim, few(p.Names))
	}
	return nil
}

// central says that the victim has neighbours on both sides, where that tells the strategies apart.
func (p *Plan) central() bool { return p.Compare || p.Strategy == supervise.RestForOne }

func (p *Plan) defaults() {
	if p.Fault == "" {
		p.Fault = Panic
	}
	if p.Level == "" {
		p.Level = Process
	}
	if p.Workers == 0 && len(p.Names) > 0 {
		p.Workers = len(p.Names)
	}
	if p.Workers == 0 {
		p.Workers = 2
		if p.central() {
			p.Workers = 3
		}
	}
	if p.Period == 0 {
		p.Period = supervise.DefaultPeriod
	}
	if p.Crashes == 0 {
		p.Crashes = 1
	}
	if p.Intensity == 0 {
		p.Intensity = supervise.DefaultIntensity
		if p.Crashes > 1 {
			p.Intensity = p.Crashes * p.Fault.restarts()
		}
	}
	if p.Escalate {
		p.Crashes = p.allowed() + 1
	}
}

// allowed is the number of restarts within the period.
func (p *Plan) allowed() int { return max(p.Intensity, 0) }

// restarts is how many restarts one crash takes.
func (f Fault) restarts() int {
	if f == StartError {
		return 1 + Refusals
	}
	return 1
}

// possible are the faults of a level.
func (l Level) possible() []Fault {
	if l == Plugin {
		return Faults
	}
	return slices.DeleteFunc(slices.Clone(Faults), func(f Fault) bool { return f == Kill9 })
}

func (p *Plan) checkFault() error {
	switch {
	case !slices.Contains(Levels, p.Level):
		return fmt.Errorf("unknown level %s: want one of %s", p.Level, list(Levels))
	case !slices.Contains(Faults, p.Fault):
		return fmt.Errorf("unknown fault %s: want one of %s", p.Fault, list(Faults))
	case p.Strategy > supervise.Dynamic:
		return fmt.Errorf("unknown strategy %s", p.Strategy)
	case !slices.Contains(p.Level.possible(), p.Fault):
		return fmt.Errorf("fault %s needs a process of the operating system, level %s; level %s can have %s", p.Fault, Plugin,
			p.Level, list(p.Level.possible()))
	}
	return nil
}

func (p *Plan) checkWorkers() error {
	most, what := MaxWorkers, ""
	if p.Level == Plugin {
		most, what = MaxPrograms, ", each a process of the operating system"
	}
	if p.Workers < 1 || p.Workers > most {
		return fmt.Errorf("%d workers: level %s has 1 to %d%s", p.Workers, p.Level, most, what)
	}
	return nil
}

func (p *Plan) checkNames() error {
	if p.Names == nil {
		return nil
	}
	if len(p.Names) != p.Workers {
		return fmt.Errorf("%d names for %d workers", len(p.Names), p.Workers)
	}
	seen := map[string]bool{}
	for _, name := range p.Names {
		switch {
		case name == "" || len(name) > maxName || strings.ContainsFunc(name, odd):
			return fmt.Errorf("worker name %q: want 1 to %d letters, digits, dots, dashes or underscores", name, maxName)
		case seen[name]:
			return fmt.Errorf("worker name %s is there twice", name)
		}
		seen[name] = true
	}
	return nil
}

func odd(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
}

func (p *Plan) checkCounts() error {
	switch {
	case p.Crashes < 1 || p.Crashes > MaxCrashes && !p.Escalate:
		return fmt.Errorf("%d crashes: want 1 to %d", p.Crashes, MaxCrashes)
	case p.Intensity < supervise.NoRestarts || p.Intensity > MaxIntensity:
		return fmt.Errorf("an intensity of %d: want 0 to %d restarts", p.Intensity, MaxIntensity)
	case p.Period < time.Second || p.Period > MaxPeriod || p.Period%time.Second != 0:
		return fmt.Errorf("a period of %s: want whole seconds, as OTP counts, from 1s to %s", p.Period, MaxPeriod)
	}
	return nil
}

// letters names workers A to Z, then AA, AB and so on.
func letters(n int) []string {
	names := make([]string, n)
	for i := range names {
		for k := i; k >= 0; k = k/26 - 1 {
			names[i] = string(rune('A'+k%26)) + names[i]
		}
	}
	return names
}

func list[T ~string](all []T) string {
	words := make([]string, len(all))
	for i, w := range all {
		words[i] = string(w)
	}
	return strings.Join(words, ", ")
}

// few is a list that may be long.
func few(names []string) string {
	if len(names) > 8 {
		return strings.Join(names[:7], ", ") + " to " + names[len(names)-1]
	}
	return strings.Join(names, ", ")
}
