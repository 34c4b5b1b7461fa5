package release

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/theseusd/theseus/sdk/supervise"
	"github.com/theseusd/theseus/upgrades/appup"
)

// Root is the supervisor above all others. It is not declared: what has no other supervisor is its child, one for one.
const Root = "root"

// Tree says who starts, restarts and stops the services of a release, as canonical JSON. Like Settings it is part of a
// release and goes back with it. "" is the root alone.
type Tree string

// Supervision is a Tree taken apart.
type Supervision struct {
	Supervisors map[string]Supervisor `json:"supervisors,omitempty"`
	Services    map[string]Member     `json:"services,omitempty"` // those that are not as services are by default
}

// Supervisor restarts its children by one strategy. If it has to do so more often than Intensity within Period, it stops
// them in reverse order and has failed itself: its own supervisor decides.
type Supervisor struct {
	Strategy  supervise.Strategy `json:"strategy"`
	Intensity int                `json:"intensity"` // none is 0
	Period    appup.Duration     `json:"period"`    // in whole seconds
	Restart   supervise.Restart  `json:"restart"`   // by its own supervisor
	Children  []string           `json:"children"`  // services and supervisors, in the order of starting

	AutoShutdown supervise.AutoShutdown `json:"auto_shutdown,omitzero"` // it ends with its significant children
	Significant  bool                   `json:"significant,omitempty"`  // to its own supervisor
}

// Member says how a service is a child of its supervisor.
type Member struct {
	Restart  supervise.Restart `json:"restart"`
	Shutdown Shutdown          `json:"shutdown,omitzero"` // DefaultShutdown if 0
	Liveness Liveness          `json:"liveness,omitzero"` // DefaultLiveness if 0

	Significant bool `json:"significant,omitempty"` // to its supervisor: see AutoShutdown
}

// DefaultShutdown is how long a service may take to stop in order, until it is killed.
const DefaultShutdown = 10 * time.Second

// Shutdown is how long a service may take to stop in order. It is written as a duration, brutal_kill or infinity.
type Shutdown time.Duration

// Std returns s as [supervise.ChildSpec] has it.
func (s Shutdown) Std() time.Duration {
	if s == 0 {
		return DefaultShutdown
	}
	return time.Duration(s)
}

var shutdowns = map[string]time.Duration{"brutal_kill": supervise.BrutalKill, "infinity": supervise.Infinity}

func (s Shutdown) String() string {
	for word, d := range shutdowns {
		if s.Std() == d {
			return word
		}
	}
	return s.Std().String()
}

// MarshalText gives the spelling of theseus.toml.
func (s Shutdown) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText accepts a duration of more than 0, and OTP's two words.
func (s *Shutdown) UnmarshalText(text []byte) error {
	if d, ok := shutdowns[string(text)]; ok {
		*s = Shutdown(d)
		return nil
	}
	var d appup.Duration
	if err := d.UnmarshalText(text); err != nil {
		return fmt.Errorf(`shutdown: %w, or as "brutal_kill" or "infinity"`, err)
	}
	*s = Shutdown(d)
	return nil
}

// Tree writes supervision down; what means the same is the same text.
func (s Supervision) Tree() (Tree, error) {
	if len(s.Supervisors)+len(s.Services) == 0 {
		return "", nil
	}
	text, err := json.Marshal(s) // maps are sorted by their keys
	if err != nil {
		return "", fmt.Errorf("supervision: %w", err)
	}
	return Tree(text), nil
}

// Supervision takes a tree apart.
func (t Tree) Supervision() (s Supervision, err error) {
	if t == "" {
		return s, nil
	}
	if err := json.Unmarshal([]byte(t), &s); err != nil {
		return s, fmt.Errorf("supervision %q: %w", string(t), err)
	}
	return s, nil
}

// Parent is the supervisor of a service or of a supervisor.
func (s Supervision) Parent(child string) string {
	for name, sup := range s.Supervisors {
		for _, c := range sup.Children {
			if c == child {
				return name
			}
		}
	}
	return Root
}

// Flags are what package supervise needs of a supervisor.
func (s Supervisor) Flags() supervise.Flags {
	f := supervise.Flags{Strategy: s.Strategy, Intensity: s.Intensity, Period: s.Period.Std(), AutoShutdown: s.AutoShutdown}
	if f.Intensity == 0 {
		f.Intensity = supervise.NoRestarts
	}
	return f
}

// Limits says how often a supervisor restarts its children.
func (s Supervisor) Limits() string { return LimitText(s.Intensity, s.Period.Std()) }

// LimitText says how often something may be restarted.
func LimitText(intensity int, period time.Duration) string {
	word := "restarts"
	if intensity == 1 {
		word = "restart"
	}
	return fmt.Sprintf("%d %s within %s", intensity, word, period)
}
