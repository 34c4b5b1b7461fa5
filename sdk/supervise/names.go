package supervise

import (
	"fmt"
	"strings"
)

// Strategy says who is restarted with a child that failed.
type Strategy uint8

const (
	// OneForOne restarts the child alone.
	OneForOne Strategy = iota
	// OneForAll stops all other children in reverse start order, then starts them all.
	OneForAll
	// RestForOne does so with those started after the child.
	RestForOne
	// SimpleOneForOne has children of one kind only, added with StartDynamic, each restarted alone. They are stopped
	// all at once.
	SimpleOneForOne
)

// Restart says whether a child that ended is started again.
type Restart uint8

const (
	// Permanent restarts it whatever the reason.
	Permanent Restart = iota
	// Transient restarts it unless the reason is normal or a shutdown.
	Transient
	// Temporary never does. The child is forgotten as soon as it has ended.
	Temporary
)

// AutoShutdown says whether the ends of significant children shut the supervisor down. Only an end of their own that
// is not followed by a restart counts, not one that the supervisor brought about.
type AutoShutdown uint8

const (
	// NeverShutdown is the default; significant children are refused.
	NeverShutdown AutoShutdown = iota
	// AnySignificant shuts down with the first significant child.
	AnySignificant
	// AllSignificant shuts down with the last one.
	AllSignificant
)

// Type tells supervisors from other children.
type Type uint8

const (
	// TypeWorker is any child that is not a supervisor.
	TypeWorker Type = iota
	// TypeSupervisor is a child that has children.
	TypeSupervisor
)

// State is where a child stands.
type State uint8

const (
	// Stopped children have a spec and nothing that runs; OTP shows them as undefined.
	Stopped State = iota
	// Running children have started and not been seen to end.
	Running
	// Restarting children failed to start again and are about to be tried once more.
	Restarting
)

var (
	strategies    = []string{"one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one"}
	restarts      = []string{"permanent", "transient", "temporary"}
	autoShutdowns = []string{"never", "any_significant", "all_significant"}
	types         = []string{"worker", "supervisor"}
	states        = []string{"stopped", "running", "restarting"}
)

func spell[E ~uint8](names []string, e E) string {
	if int(e) < len(names) {
		return names[e]
	}
	return fmt.Sprintf("invalid(%d)", e)
}

func marshal[E ~uint8](names []string, e E, invalid error) ([]byte, error) {
	if int(e) < len(names) {
		return []byte(names[e]), nil
	}
	return nil, fmt.Errorf("%w: %d", invalid, e)
}

func unmarshal[E ~uint8](names []string, e *E, text []byte, invalid error) error {
	for i, name := range names {
		if name == string(text) {
			*e = E(i)
			return nil
		}
	}
	return fmt.Errorf("%w: %q is none of %s", invalid, text, strings.Join(names, ", "))
}

func (s Strategy) String() string     { return spell(strategies, s) }
func (r Restart) String() string      { return spell(restarts, r) }
func (a AutoShutdown) String() string { return spell(autoShutdowns, a) }
func (t Type) String() string         { return spell(types, t) }
func (s State) String() string        { return spell(states, s) }

// MarshalText spells the strategy as OTP does.
func (s Strategy) MarshalText() ([]byte, error) { return marshal(strategies, s, ErrInvalidStrategy) }

// UnmarshalText reads OTP's spelling.
func (s *Strategy) UnmarshalText(b []byte) error {
	return unmarshal(strategies, s, b, ErrInvalidStrategy)
}

// MarshalText spells the restart type as OTP does.
func (r Restart) MarshalText() ([]byte, error) { return marshal(restarts, r, ErrInvalidRestart) }

// UnmarshalText reads OTP's spelling.
func (r *Restart) UnmarshalText(b []byte) error { return unmarshal(restarts, r, b, ErrInvalidRestart) }

// MarshalText spells the value as OTP does.
func (a AutoShutdown) MarshalText() ([]byte, error) {
	return marshal(autoShutdowns, a, ErrInvalidAutoShutdown)
}

// UnmarshalText reads OTP's spelling.
func (a *AutoShutdown) UnmarshalText(b []byte) error {
	return unmarshal(autoShutdowns, a, b, ErrInvalidAutoShutdown)
}

// MarshalText spells the type as OTP does.
func (t Type) MarshalText() ([]byte, error) { return marshal(types, t, ErrInvalidType) }

// UnmarshalText reads OTP's spelling.
func (t *Type) UnmarshalText(b []byte) error { return unmarshal(types, t, b, ErrInvalidType) }

// MarshalText spells the state.
func (s State) MarshalText() ([]byte, error) { return marshal(states, s, ErrInvalidState) }

// UnmarshalText reads what MarshalText writes.
func (s *State) UnmarshalText(b []byte) error { return unmarshal(states, s, b, ErrInvalidState) }
