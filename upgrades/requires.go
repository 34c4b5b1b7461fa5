package upgrades

import (
	"maps"
	"slices"

	"github.com/theseusd/theseus/upgrades/release"
)

// packages are the services of a release, by name.
type packages map[string]release.Package

// names lists the services by name.
func (ps packages) names() []string { return slices.Sorted(maps.Keys(ps)) }

// order lists the services so that each comes after those that it requires. There is no cycle: releases are checked
// when they are built.
func (ps packages) order() []string {
	w := walk{ps: ps, seen: map[string]bool{}}
	for _, name := range ps.names() {
		w.visit(name)
	}
	return w.list
}

type walk struct {
	ps   packages
	seen map[string]bool
	list []string
}

func (w *walk) visit(name string) {
	p, ok := w.ps[name]
	if !ok || w.seen[name] {
		return
	}
	w.seen[name] = true
	if p.Manifest != nil {
		for _, other := range slices.Sorted(maps.Keys(p.Manifest.Requires)) {
			w.visit(other)
		}
	}
	w.list = append(w.list, name)
}
