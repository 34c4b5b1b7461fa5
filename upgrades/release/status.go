package release

import "fmt"

// Status is where a numbered release stands.
type Status uint8

// The statuses of a release, in OTP's words.
const (
	Unpacked  Status = iota // built; has never served, or was rolled back
	Current                 // serves, in probation
	Permanent               // serves, and is what a restart of the daemon starts
	Old                     // was permanent before
)

// Action is what changes a status.
type Action uint8

// The actions on a release.
const (
	Install       Action = iota // the switch
	MakePermanent               // the end of the probation
	RollBack                    // the switch, the other way
	Supersede                   // another release was made permanent
)

// What is not in next cannot happen.
var next = map[Status]map[Action]Status{
	Unpacked:  {Install: Current},
	Current:   {MakePermanent: Permanent, RollBack: Unpacked},
	Permanent: {Supersede: Old},
	Old:       {Install: Current},
}

var (
	statusNames = [...]string{Unpacked: "unpacked", Current: "current", Permanent: "permanent", Old: "old"}
	actionNames = [...]string{
		Install: "install", MakePermanent: "make_permanent", RollBack: "roll_back", Supersede: "supersede",
	}
)

// Next returns the status after the action, or an error if the action cannot happen in this status.
func (s Status) Next(a Action) (Status, error) {
	if to, ok := next[s][a]; ok {
		return to, nil
	}
	return s, fmt.Errorf("cannot %s a release that is %s", a, s)
}

func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return fmt.Sprintf("Status(%d)", uint8(s))
}

func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return fmt.Sprintf("Action(%d)", uint8(a))
}

// MarshalText gives the word that String gives.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText accepts what MarshalText gives and nothing else.
func (s *Status) UnmarshalText(text []byte) error {
	for i, name := range statusNames {
		if name == string(text) {
			*s = Status(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no status of a release", text)
}
