package fault

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/theseusd/theseus/sdk/fault"
)

// Line is what a process wrote when it reached a point that is traced.
type Line struct {
	Process string
	PID     int
	Point   string
}

// ReadTrace reads a file of such lines. The last one may be cut short: its process was killed.
func ReadTrace(text string) (lines []Line, err error) {
	for len(text) > 0 {
		one, rest, whole := strings.Cut(text, "\n")
		if !whole {
			break
		}
		text = rest
		fields := strings.Fields(one)
		if len(fields) != 3 {
			return nil, fmt.Errorf("trace: %q is no line of it", one)
		}
		pid, err := strconv.Atoi(fields[1])
		if err != nil || PointOf(fields[2]) < 0 {
			return nil, fmt.Errorf("trace: %q is no line of it", one)
		}
		lines = append(lines, Line{Process: fields[0], PID: pid, Point: fields[2]})
	}
	return lines, nil
}

// Seen is a spot and who was alive then.
type Seen struct {
	Spot
	Alive []Role
}

// often are points that are reached all the time; one in each phase is enough.
var often = map[fault.Point]bool{fault.CommitCopied: true}

// perPhase is how many times the same point of the same process counts in one phase.
const perPhase = 2

// Spots turns a trace into the instants that it went through, each once. roleOf tells who a process is; loser is the
// version that is ended in it.
func Spots(lines []Line, roleOf func(process string) Role, loser Role) (list []Seen) {
	w := walk{roleOf: roleOf, loser: loser, count: map[Spot]int{}}
	for _, l := range lines {
		if s, ok := w.step(l); ok {
			list = append(list, s)
		}
	}
	return list
}

// walk is how far a trace was read.
type walk struct {
	roleOf   func(string) Role
	loser    Role
	phase    string
	count    map[Spot]int
	newborn  bool // there is a process of the new version
	lostOnce bool // the loser is gone
}

func (w *walk) step(l Line) (Seen, bool) {
	role := w.roleOf(l.Process)
	launched := l.Point == fault.HostLaunched.String()
	w.newborn = w.newborn || role == New || launched
	s := Spot{Role: role, Point: l.Point, Phase: w.phase}
	w.count[s]++
	n := w.count[s]
	limit := perPhase
	if often[PointOf(l.Point)] || strings.HasSuffix(l.Point, "/health") {
		limit = 1
	}
	s.Nth = n
	seen := Seen{Spot: s, Alive: w.alive()}
	w.after(role, l.Point)
	return seen, n <= limit && role != ""
}

// after notes what the point changes for those that follow.
func (w *walk) after(role Role, point string) {
	if role != Daemon {
		return
	}
	if record, ok := strings.CutPrefix(point, fault.Points[fault.RecordAfter].Name); ok {
		w.phase = record
	}
	if point == fault.Points[fault.CallAfter].Name+"stop" {
		w.lostOnce = true
	}
}

func (w *walk) alive() []Role {
	list := []Role{Daemon}
	if !w.lostOnce || w.loser != Old {
		list = append(list, Old)
	}
	if w.newborn && (!w.lostOnce || w.loser != New) {
		list = append(list, New)
	}
	return list
}
