package supervise

import "fmt"

// Strategy says who is restarted when one child fails.
type Strategy uint8

// The strategies of OTP. Dynamic is simple_one_for_one, and DynamicSupervisor in Elixir: children come and go at run
// time, they are many, and at the end they are stopped all at once.
const (
	OneForOne Strategy = iota
	OneForAll
	RestForOne
	Dynamic
)

var strategies = [...]string{"one_for_one", "one_for_all", "rest_for_one", "dynamic"}

// Restart says whether a child is started again.
type Restart uint8

// Permanent children are always started again, transient ones when they failed, temporary ones never: those vanish with
// their specification.
const (
	Permanent Restart = iota
	Transient
	Temporary
)

var restarts = [...]string{"permanent", "transient", "temporary"}

// AutoShutdown says whether the end of significant children ends the supervisor.
type AutoShutdown uint8

// Never, when one significant child has ended by itself, or when the last one has.
const (
	Never AutoShutdown = iota
	AnySignificant
	AllSignificant
)

var autoShutdowns = [...]string{"never", "any_significant", "all_significant"}

// Kind tells supervisors from those who work.
type Kind uint8

// The kinds of children.
const (
	Worker Kind = iota
	IsSupervisor
)

var kinds = [...]string{"worker", "supervisor"}

// State is what has become of a child.
type State uint8

// A child is Terminated after it ended, was ignored or was stopped, and its specification stays.
const (
	Running State = iota
	Restarting
	Terminated
)

var states = [...]string{"running", "restarting", "terminated"}

func (s Strategy) String() string     { return name(strategies[:], s) }
func (r Restart) String() string      { return name(restarts[:], r) }
func (a AutoShutdown) String() string { return name(autoShutdowns[:], a) }
func (k Kind) String() string         { return name(kinds[:], k) }
func (s State) String() string        { return name(states[:], s) }

// MarshalText gives OTP's spelling.
func (s Strategy) MarshalText() ([]byte, error)     { return []byte(s.String()), nil }
func (r Restart) MarshalText() ([]byte, error)      { return []byte(r.String()), nil }
func (a AutoShutdown) MarshalText() ([]byte, error) { return []byte(a.String()), nil }
func (k Kind) MarshalText() ([]byte, error)         { return []byte(k.String()), nil }
func (s State) MarshalText() ([]byte, error)        { return []byte(s.String()), nil }

// UnmarshalText accepts OTP's spelling and nothing else.
func (s *Strategy) UnmarshalText(text []byte) error     { return parse(strategies[:], text, s) }
func (r *Restart) UnmarshalText(text []byte) error      { return parse(restarts[:], text, r) }
func (a *AutoShutdown) UnmarshalText(text []byte) error { return parse(autoShutdowns[:], text, a) }
func (k *Kind) UnmarshalText(text []byte) error         { return parse(kinds[:], text, k) }
func (s *State) UnmarshalText(text []byte) error        { return parse(states[:], text, s) }

func name[T ~uint8](names []string, v T) string {
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("%T(%d)", v, uint8(v))
}

func parse[T ~uint8](names []string, text []byte, v *T) error {
	for i, name := range names {
		if name == string(text) {
			*v = T(i)
			return nil
		}
	}
	return fmt.Errorf("%q is none of %q", text, names)
}
