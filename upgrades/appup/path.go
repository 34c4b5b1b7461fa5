package appup

import (
	"fmt"
	"slices"

	"github.com/Masterminds/semver/v3"
)

// stop is a version on the way from one to another.
type stop struct {
	m  *Manifest
	at *semver.Version
}

// hop is one appup: a section of the newer of two neighbours on the way.
type hop struct {
	by      *Manifest // that has the section
	section Up
	path    string // of the section
}

// route finds the fewest hops from one version to the other, each an appup of its own; of several such ways the one whose
// next version is nearest to the end. via are manifests of versions that may lie between. Prereleases among them lead
// nowhere: nobody is to come by a version that was tried and left.
func (c *compilation) route(via []*Manifest) (path []string, hops []hop, err error) {
	stops, err := c.stops(via)
	if err != nil {
		return nil, nil, err
	}
	last := len(stops) - 1
	before, how := make([]int, len(stops)), make([]hop, len(stops))
	for i := range before {
		before[i] = -1
	}
	for queue := []int{0}; len(queue) > 0 && before[last] < 0; queue = queue[1:] {
		at := queue[0]
		for to := last; to > at; to-- { // the end first
			if before[to] >= 0 {
				continue
			}
			h, ok, err := c.hop(stops[at], stops[to])
			if err != nil {
				return nil, nil, err
			}
			if ok {
				before[to], how[to] = at, h
				queue = append(queue, to)
			}
		}
	}
	if before[last] < 0 {
		return nil, nil, nil
	}
	for at := last; at > 0; at = before[at] {
		path, hops = append(path, stops[at].m.Version), append(hops, how[at])
	}
	path = append(path, stops[0].m.Version)
	slices.Reverse(path)
	slices.Reverse(hops)
	return path, hops, nil
}

// stops are the versions from the first to the last, in the order of travel. Of one version the first manifest counts.
func (c *compilation) stops(via []*Manifest) ([]stop, error) {
	var list []stop
	for _, m := range slices.Concat([]*Manifest{c.from.Manifest, c.to.Manifest}, via) {
		v, err := Version{Manifest: m}.semver()
		if err != nil {
			return nil, err
		}
		end := m == c.from.Manifest || m == c.to.Manifest
		between := m.Name == c.newer.Manifest.Name && v.Prerelease() == "" && c.between(v)
		known := slices.ContainsFunc(list, func(s stop) bool { return s.at.Equal(v) })
		if end || (between && !known) {
			list = append(list, stop{m, v})
		}
	}
	slices.SortFunc(list, func(a, b stop) int {
		if c.down {
			a, b = b, a
		}
		return a.at.Compare(b.at)
	})
	return list, nil
}

// between says whether a version lies between the two.
func (c *compilation) between(v *semver.Version) bool {
	a, errA := c.older.semver()
	b, errB := c.newer.semver()
	return errA == nil && errB == nil && v.GreaterThan(a) && v.LessThan(b)
}

// hop is the first section of the newer of two versions that holds the older one.
func (c *compilation) hop(from, to stop) (h hop, ok bool, err error) {
	newer, other := to, from
	if c.down {
		newer, other = from, to
	}
	for i, s := range newer.m.sections(c.down) {
		holds, err := newer.m.holds(s.From, other.at)
		if err != nil {
			return hop{}, false, err
		}
		if holds {
			return hop{by: newer.m, section: s, path: fmt.Sprintf("%s[%d]", direction(c.down), i)}, true, nil
		}
	}
	return hop{}, false, nil
}

// holds says whether a range of the manifest holds a version.
func (m *Manifest) holds(text string, v *semver.Version) (bool, error) {
	constraint, err := parseRange(text)
	if err != nil {
		return false, fmt.Errorf("range %q of %s %s: %w", text, m.Name, m.Version, err)
	}
	return constraint.Check(v), nil
}

// compose puts hops together for one switch: what one of them cannot do, the whole cannot.
func (c *compilation) compose(r *Relup, hops []hop) {
	r.Do = Load
	for _, h := range hops {
		switch {
		case h.section.Do == DoRestart || r.Do == DoRestart:
			r.Do = DoRestart
		case h.section.Do == Update:
			r.Do = Update
		}
		r.Probation = max(r.Probation, h.section.Probation.or(DefaultProbation))
		r.Irreversible = r.Irreversible || h.section.Irreversible
		c.deciders = append(c.deciders, h.by)
		if h.by == c.newer.Manifest {
			c.path = h.path
		}
	}
}

// givesUp says whether a version on the way gives something up by name.
func (c *compilation) givesUp(what, name string) bool {
	return slices.ContainsFunc(c.deciders, func(m *Manifest) bool { return slices.Contains(m.dropped(what).names, name) })
}

// emptied refuses a table that one version on the way gives up and a later one has again: hop by hop its rows would be
// gone, in one switch they would not.
func (c *compilation) emptied(name string) error {
	older, newer := c.older.Manifest, c.newer.Manifest
	for _, m := range c.deciders {
		if m == newer || !slices.Contains(m.dropped(aTable).names, name) {
			continue
		}
		was, _ := c.older.Describe.Table(name)
		is, _ := c.newer.Describe.Table(name)
		return &UncoveredError{
			Service: newer.Name, Table: name, From: was.Version, To: is.Version,
			Reason: fmt.Sprintf("on the way between %s and %s, version %s gives it up, and it is there again", older.Version, newer.Version, m.Version),
			Hint:   fmt.Sprintf("go in two upgrades, with a release of %s between them", m.Version),
		}
	}
	return nil
}
