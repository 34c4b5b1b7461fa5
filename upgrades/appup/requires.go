package appup

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// CheckRequires says whether the services of a set, each in one version, fit together: what one requires is there, in a
// version that it can use, and no service requires itself through others. Errors are *ParseError; the one for a cycle
// names every service on it.
func CheckRequires(set []*Manifest) error {
	byName := make(map[string]*Manifest, len(set))
	for _, m := range set {
		byName[m.Name] = m
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		if err := byName[name].satisfied(byName); err != nil {
			return err
		}
	}
	return findCycle(byName)
}

// satisfied says whether all that m requires is in the set.
func (m *Manifest) satisfied(set map[string]*Manifest) error {
	for _, service := range slices.Sorted(maps.Keys(m.Requires)) {
		path, want := "requires."+service, m.Requires[service]
		other, ok := set[service]
		if !ok {
			return m.src.at(path, fmt.Sprintf("%s requires %s, which is not there", m.Name, service), "")
		}
		fits, err := inRange(other.Version, want)
		if err != nil {
			return m.src.at(path, err.Error(), "")
		}
		if !fits {
			return m.src.at(path, fmt.Sprintf("%s requires %s %s, and %s is there", m.Name, service, want, other.Version), "")
		}
	}
	return nil
}

func inRange(version, text string) (bool, error) {
	v, err := semver.StrictNewVersion(version)
	if err != nil {
		return false, err
	}
	c, err := parseRange(text)
	if err != nil {
		return false, err
	}
	return c.Check(v), nil
}

// findCycle looks for the first cycle, by name.
func findCycle(set map[string]*Manifest) error {
	done := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if cycle := cycleFrom(name, set, nil, done); cycle != nil {
			what := "requires form a cycle: " + strings.Join(cycle, " -> ")
			return set[cycle[0]].src.at("requires."+cycle[1], what, "")
		}
	}
	return nil
}

// cycleFrom follows what a service requires, and returns a cycle with its first service at both ends. trail is how the
// walk came here; done are services from which no cycle can be reached.
func cycleFrom(name string, set map[string]*Manifest, trail []string, done map[string]bool) []string {
	if i := slices.Index(trail, name); i >= 0 {
		return append(slices.Clone(trail[i:]), name)
	}
	m, ok := set[name]
	if !ok || done[name] {
		return nil
	}
	trail = append(trail, name)
	for _, next := range slices.Sorted(maps.Keys(m.Requires)) {
		if cycle := cycleFrom(next, set, trail, done); cycle != nil {
			return cycle
		}
	}
	done[name] = true
	return nil
}
