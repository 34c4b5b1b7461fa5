package fault

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/theseusd/theseus/sdk/fault"
)

// Role is what a process is in a scenario.
type Role string

// The roles.
const (
	Keel   Role = "keel"
	Daemon Role = "daemon"
	Old    Role = "old" // the version that serves when the scenario begins
	New    Role = "new"
)

// All is the victim that stands for the daemon and both versions.
const All Role = "all"

// How somebody falls.
type How string

// The ways to fall.
const (
	Kill  How = "kill"  // SIGKILL
	Early How = "early" // SIGSTOP, and SIGCONT after a moment
	Late  How = "late"  // SIGSTOP, and SIGCONT when the others have given it up
)

// Hows lists the ways to fall.
var Hows = []How{Kill, Early, Late}

// Spot is an instant of a scenario.
type Spot struct {
	Role  Role   // whose point it is
	Point string // a name of sdk/fault's table
	Phase string // the last record of the journal before it; "" before the first, and where it does not matter
	Nth   int    // counted in the phase
}

func (s Spot) String() string {
	phase := ""
	if s.Phase != "" {
		phase = "~" + s.Phase
	}
	return fmt.Sprintf("%s@%s%s:%d", s.Role, s.Point, phase, s.Nth)
}

// Gate is the plan that stops the daemon where the phase begins, "" if the phase is that of the beginning.
func (s Spot) Gate(name string) string {
	if s.Phase == "" {
		return ""
	}
	return fmt.Sprintf("daemon@%s%s=stop#%s", fault.Points[fault.RecordAfter].Name, s.Phase, name)
}

// Trap is the plan that stops the process of that name at the spot, once the phase has begun.
func (s Spot) Trap(process, name string) string {
	return fmt.Sprintf("%s@%s:%d=stop#%s", process, s.Point, s.Nth, name)
}

// Shot says who falls where, and how.
type Shot struct {
	At     Spot
	Victim Role
	How    How
}

func (s Shot) String() string { return fmt.Sprintf("%s,%s,%s", s.At, s.Victim, s.How) }

// Case is a scenario with one shot, or two; without any it is the scenario alone.
type Case struct {
	Scenario string
	Shots    []Shot
}

func (c Case) String() string {
	shots := make([]string, len(c.Shots))
	for i, s := range c.Shots {
		shots[i] = s.String()
	}
	return c.Scenario + "," + strings.Join(shots, "+")
}

// ParseCase reads what String writes.
func ParseCase(text string) (c Case, err error) {
	name, shots, _ := strings.Cut(text, ",")
	c.Scenario = name
	for one := range strings.SplitSeq(shots, "+") {
		s, err := parseShot(one)
		if err != nil {
			return c, fmt.Errorf("case %q: %w", text, err)
		}
		c.Shots = append(c.Shots, s)
	}
	if len(c.Shots) > 2 {
		return c, fmt.Errorf("case %q: more than two shots", text)
	}
	return c, nil
}

func parseShot(text string) (s Shot, err error) {
	parts := strings.Split(text, ",")
	if len(parts) != 3 {
		return s, fmt.Errorf("%q: want ROLE@POINT[~PHASE]:N,VICTIM,HOW", text)
	}
	if s.At, err = parseSpot(parts[0]); err != nil {
		return s, err
	}
	s.Victim, s.How = Role(parts[1]), How(parts[2])
	if !slices.Contains([]Role{Daemon, Old, New, All}, s.Victim) {
		return s, fmt.Errorf("%q: nobody is called %q", text, s.Victim)
	}
	if !slices.Contains(Hows, s.How) {
		return s, fmt.Errorf("%q: want kill, early or late", text)
	}
	return s, nil
}

func parseSpot(text string) (s Spot, err error) {
	role, rest, ok := strings.Cut(text, "@")
	where, nth, counted := strings.Cut(rest, ":")
	if !ok || !counted {
		return s, fmt.Errorf("%q: want ROLE@POINT[~PHASE]:N", text)
	}
	s.Role = Role(role)
	s.Point, s.Phase, _ = strings.Cut(where, "~")
	if !slices.Contains([]Role{Keel, Daemon, Old, New}, s.Role) {
		return s, fmt.Errorf("%q: nobody is called %q", text, role)
	}
	if PointOf(s.Point) < 0 {
		return s, fmt.Errorf("%q: there is no point %q", text, s.Point)
	}
	if s.Nth, err = strconv.Atoi(nth); err != nil || s.Nth < 1 {
		return s, fmt.Errorf("%q: %q is no count", text, nth)
	}
	return s, nil
}

// PointOf is the line of sdk/fault's table that a name belongs to, -1 if to none.
func PointOf(name string) fault.Point {
	for i, p := range fault.Points {
		if p.Name == name || strings.HasSuffix(p.Name, "/") && strings.HasPrefix(name, p.Name) {
			return fault.Point(i)
		}
	}
	return -1
}
