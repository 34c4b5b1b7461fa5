package host

import (
	"maps"
	"slices"

	"github.com/theseusd/theseus/upgrades/release"
)

// shape is a tree that is wanted: for each service its group, for each group the one above, and the order of both.
type shape struct {
	release.Supervision
	order       []string // services
	home, above map[string]string
}

// isLone is true for a group that no supervisor is declared for: that of one service right under the root.
func (s shape) isLone(group string) bool {
	_, declared := s.Supervisors[group]
	return !declared
}

// wanted draws the shape for the services that there are, but for those whose name a supervisor has now: they are on their way
// out.
func (t *tree) wanted() shape {
	t.mu.Lock()
	want, order := t.want, t.order
	t.mu.Unlock()
	return t.draw(want, order)
}

// unchanged draws the shape that there is, with the services that have come since.
func (t *tree) unchanged() shape { return t.draw(t.now.Supervision, t.now.order) }

func (t *tree) draw(want release.Supervision, order []string) shape {
	names := t.host.names()
	s := shape{Supervision: want, order: slices.Clone(order), home: map[string]string{}, above: map[string]string{}}
	for _, name := range names {
		if !slices.Contains(s.order, name) {
			s.order = append(s.order, name)
		}
	}
	s.order = slices.DeleteFunc(s.order, func(name string) bool { return !slices.Contains(names, name) || !s.isLone(name) })
	for _, name := range s.order {
		s.home[name] = s.Parent(name)
		if s.home[name] == release.Root {
			s.home[name], s.above[name] = name, release.Root
		}
	}
	for name := range s.Supervisors {
		s.above[name] = s.Parent(name)
	}
	return s
}

// tops are the names of what is right under the root, in the order of starting.
func (s shape) tops() (list []string) {
	add := func(name string) {
		for s.above[name] != release.Root {
			name = s.above[name]
		}
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	for _, service := range s.order {
		add(s.home[service])
	}
	for _, name := range slices.Sorted(maps.Keys(s.Supervisors)) {
		add(name)
	}
	return list
}

// deep lists the supervisors under others, each after the one that it is in.
func (s shape) deep() []string {
	depth := func(name string) (n int) {
		for ; s.above[name] != release.Root; n++ {
			name = s.above[name]
		}
		return n
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(s.Supervisors)) {
		if depth(name) > 0 {
			list = append(list, name)
		}
	}
	slices.SortStableFunc(list, func(a, b string) int { return depth(a) - depth(b) })
	return list
}
