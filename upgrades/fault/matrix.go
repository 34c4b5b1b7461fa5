package fault

import (
	"hash/fnv"
	"math/rand/v2"
	"slices"

	"github.com/theseusd/theseus/sdk/fault"
)

// Matrix has a case for each instant of a scenario, each of those who were alive then, and all of them at once, and
// each way to fall.
func Matrix(scenario string, seen []Seen) (list []Case) {
	for _, s := range seen {
		for _, victim := range append(slices.Clone(s.Alive), All) {
			for _, how := range Hows {
				list = append(list, Case{Scenario: scenario, Shots: []Shot{{At: s.Spot, Victim: victim, How: how}}})
			}
		}
	}
	return list
}

// Fresh are the instants of a scenario that another one did not go through: one that is the same up to a point has
// nothing new to say before it.
func Fresh(seen, other []Seen) (list []Seen) {
	known := map[Spot]bool{}
	for _, s := range other {
		known[s.Spot] = true
	}
	for _, s := range seen {
		if !known[s.Spot] || !alike[s.Phase] {
			list = append(list, s)
		}
	}
	return list
}

// alike are the phases that upgrades have in common, however they end.
var alike = map[string]bool{
	"": true, "planned": true, "verified": true, "started": true, "rehearsed": true, "following": true, "switching": true,
	"committed": true,
}

// Heads are the cases whose recovery is traced: of each phase of a scenario the last instant at which the daemon is
// killed, and the last at which all are.
func Heads(cases []Case) (list []Case) {
	type class struct {
		scenario, phase string
		victim          Role
	}
	last := map[class]int{}
	for i, c := range cases {
		s := c.Shots[0]
		if len(c.Shots) == 1 && s.How == Kill && s.At.Role == Daemon && (s.Victim == Daemon || s.Victim == All) {
			last[class{c.Scenario, s.At.Phase, s.Victim}] = i
		}
	}
	for i, c := range cases {
		s := c.Shots[0]
		if at, ok := last[class{c.Scenario, s.At.Phase, s.Victim}]; ok && at == i {
			list = append(list, c)
		}
	}
	return list
}

// Again has, for a case and the trace of its recovery, a second shot at each instant of that recovery: the process that
// is there is killed, and if that is not the daemon, then so is the daemon.
func Again(head Case, lines []Line, roleOf func(process string) Role) (list []Case) {
	seen := map[Spot]bool{}
	for _, l := range lines {
		at := Spot{Role: roleOf(l.Process), Point: l.Point, Nth: 1}
		if seen[at] || at.Role == "" || at.Role == Keel {
			continue
		}
		seen[at] = true
		victims := []Role{at.Role}
		if at.Role != Daemon {
			victims = append(victims, Daemon)
		}
		for _, v := range victims {
			second := Shot{At: at, Victim: v, How: Kill}
			list = append(list, Case{Scenario: head.Scenario, Shots: []Shot{head.Shots[0], second}})
		}
	}
	return list
}

// Missing names the points of the table that none of the traces went through.
func Missing(reached map[fault.Point]bool) (names []string) {
	for i, p := range fault.Points {
		if !reached[fault.Point(i)] {
			names = append(names, p.Name)
		}
	}
	return names
}

// Sample takes n of the cases, or all if n is 0 or more than there are, in an order that the seed decides.
func Sample(cases []Case, n int, seed uint64) []Case {
	list := slices.Clone(cases)
	r := rand.New(rand.NewPCG(seed, 0))
	r.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })
	if n > 0 && n < len(list) {
		list = list[:n]
	}
	return list
}

// Dice are for what a case leaves to chance; the same seed and case give the same.
func Dice(seed uint64, c Case) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(c.String()))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}
