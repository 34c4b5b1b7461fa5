package circuit

import (
	"fmt"
	"slices"
)

// State is where a circuit stands; the zero value is Closed.
type State uint8

// The states.
const (
	Closed State = iota
	Open
	HalfOpen
	ForcedOpen
	ForcedClosed
)

var stateNames = []string{"closed", "open", "half_open", "forced_open", "forced_closed"}

func (s State) String() string { return stateNames[s] }

// MarshalText is the name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes a name and nothing else.
func (s *State) UnmarshalText(text []byte) error {
	i := slices.Index(stateNames, string(text))
	if i < 0 {
		return fmt.Errorf("%.32q is no state of a circuit", text)
	}
	*s = State(i)
	return nil
}

// Event is what moves a circuit from one state to another.
type Event string

// The events.
const (
	Trip       Event = "trip"
	CoolDown   Event = "cool_down"
	Recover    Event = "recover"
	Relapse    Event = "relapse"
	ForceOpen  Event = "force_open"
	ForceClose Event = "force_close"
	Reset      Event = "reset"
)

// What is not in next cannot happen.
var next = map[State]map[Event]State{
	Closed:       {Trip: Open, ForceOpen: ForcedOpen, ForceClose: ForcedClosed, Reset: Closed},
	Open:         {CoolDown: HalfOpen, ForceOpen: ForcedOpen, ForceClose: ForcedClosed, Reset: Closed},
	HalfOpen:     {Recover: Closed, Relapse: Open, ForceOpen: ForcedOpen, ForceClose: ForcedClosed, Reset: Closed},
	ForcedOpen:   {ForceOpen: ForcedOpen, ForceClose: ForcedClosed, Reset: Closed},
	ForcedClosed: {ForceOpen: ForcedOpen, ForceClose: ForcedClosed, Reset: Closed},
}

// Change is one move, with its reason.
type Change struct {
	Event  Event  `json:"event"`
	From   State  `json:"from"`
	To     State  `json:"to"`
	Reason string `json:"reason"`
}
