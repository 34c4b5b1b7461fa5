package appup

import (
	"fmt"
	"maps"
	"slices"

	"github.com/Masterminds/semver/v3"
)

// Compile works out how to go from one version of a service to another. The manifest of the newer one decides, and the
// first section whose range holds the other version is taken. If none does, the shortest way through the versions of via
// counts, as one switch: rows go through every Step on the way, all of which the newer version must know; one restart or
// irreversible hop makes the whole so, the longest probation holds, and what any version on the way drops may be gone.
// The errors are *NoAppupError, *UncoveredError, *DroppedError and, for a manifest that asks for what cannot be,
// *ParseError.
func Compile(from, to Version, via ...*Manifest) (*Relup, error) {
	c, err := newCompilation(from, to)
	if err != nil {
		return nil, err
	}
	r, err := c.section(via)
	if err != nil {
		return nil, err
	}
	if err := c.tables(r); err != nil {
		return nil, err
	}
	if err := c.checkLoad(r); err != nil {
		return nil, err
	}
	if err := c.clients(); err != nil {
		return nil, err
	}
	c.gone(r)
	return r, nil
}

// compilation is the work on one pair of versions.
type compilation struct {
	from, to     Version
	older, newer Version
	other        *semver.Version // the one that the newer version's ranges are about
	down, same   bool
	path         string      // of the section that was taken
	deciders     []*Manifest // of every hop
}

func newCompilation(from, to Version) (*compilation, error) {
	if from.Manifest.Name != to.Manifest.Name {
		return nil, fmt.Errorf("%s and %s are two services, not two versions of one", from.Manifest.Name, to.Manifest.Name)
	}
	a, err := from.semver()
	if err != nil {
		return nil, err
	}
	b, err := to.semver()
	if err != nil {
		return nil, err
	}
	c := &compilation{from: from, to: to, older: from, newer: to, other: a, same: a.Equal(b)}
	if b.LessThan(a) {
		c.older, c.newer, c.other, c.down = to, from, b, true
	}
	return c, nil
}

// section finds what the newer version's manifest says about the other one, or the way through others.
func (c *compilation) section(via []*Manifest) (*Relup, error) {
	m := c.newer.Manifest
	r := &Relup{
		Service: m.Name, From: c.from.Manifest.Version, To: c.to.Manifest.Version, Down: c.down,
		Drain: m.Drain.or(DefaultDrain), Health: m.Probation.Health.or(DefaultHealth),
		Limits: m.Probation.Limits(), Budget: m.Budget,
	}
	if c.same {
		return nil, c.noAppup(r, nil)
	}
	path, hops, err := c.route(via)
	if err != nil {
		return nil, err
	}
	if len(hops) == 0 {
		return nil, c.noAppup(r, via)
	}
	r.Path = path
	c.compose(r, hops)
	return r, nil
}

// noAppup says which ways are known.
func (c *compilation) noAppup(r *Relup, via []*Manifest) *NoAppupError {
	e := &NoAppupError{Service: r.Service, From: r.From, To: r.To, Down: c.down, Hint: c.wayHint()}
	for _, s := range c.newer.Manifest.sections(c.down) {
		e.Known = append(e.Known, s.From)
	}
	stops, err := c.stops(via)
	for _, s := range stops {
		if err == nil && s.m != c.from.Manifest && s.m != c.to.Manifest {
			e.Via = append(e.Via, s.m.Version)
		}
	}
	return e
}

// sections are the [[up]] sections, or the [[down]] sections in the same form.
func (m *Manifest) sections(down bool) []Up {
	if !down {
		return m.Up
	}
	sections := make([]Up, len(m.Down))
	for i, d := range m.Down {
		sections[i] = Up{From: d.To, Do: d.Do, Probation: d.Probation, Irreversible: d.Irreversible}
	}
	return sections
}

func direction(down bool) string {
	if down {
		return "down"
	}
	return "up"
}

// tables compares both descriptions table by table.
func (c *compilation) tables(r *Relup) error {
	names := make(map[string]bool)
	for _, t := range slices.Concat(c.from.Describe.Tables, c.to.Describe.Tables) {
		names[t.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if err := c.covered(name); err != nil {
			return err
		}
		r.Tables = append(r.Tables, c.change(name))
	}
	return nil
}

// change is what happens to a table, in the direction of travel.
func (c *compilation) change(name string) TableChange {
	from, had := c.from.Describe.Table(name)
	to, has := c.to.Describe.Table(name)
	change := TableChange{
		Table: name, From: from.Version, To: to.Version, FromShape: from.Shape, ToShape: to.Shape, Kind: Same,
	}
	switch {
	case !had:
		change.Kind = Added
	case !has:
		change.Kind = Dropped
	case from.Version != to.Version:
		change.Kind = Migrate
	}
	return change
}

// covered says whether the newer version can take the rows of a table up and down again.
func (c *compilation) covered(name string) error {
	older, had := c.older.Describe.Table(name)
	newer, has := c.newer.Describe.Table(name)
	switch {
	case had && !has:
		if err := c.drop(aTable, name); err != nil {
			return err
		}
		return nil
	case !had:
		return nil
	}
	if err := c.emptied(name); err != nil {
		return err
	}
	r := uncovered(older, newer)
	if r.reason == "" {
		return nil
	}
	return &UncoveredError{
		Service: c.newer.Manifest.Name, Table: name, From: older.Version, To: newer.Version, Reason: r.reason, Hint: r.hint(),
	}
}

// checkLoad refuses do = "load" where the state changes.
func (c *compilation) checkLoad(r *Relup) error {
	changed := r.Changed()
	if r.Do != Load || len(changed) == 0 {
		return nil
	}
	what := fmt.Sprintf("load changes no state, but from %s to %s: %s", r.From, r.To, changed[0])
	return c.newer.Manifest.src.at(c.path+".do", what, `write do = "update"`)
}
