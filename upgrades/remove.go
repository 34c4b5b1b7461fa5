package upgrades

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/theseusd/theseus/sdk/control"
)

// Remove forgets a release and takes its packages from the store, unless another release needs them. Its number is not
// given again, and the history keeps it. The release that serves and the one that a rollback leads to are refused, as is
// everything while an upgrade is under way. A crash in between leaves packages that the next Boot takes away.
func (e *Engine) Remove(ctx context.Context, req control.RemoveRequest) (control.Removed, error) {
	e.depart.Lock()
	defer e.depart.Unlock()
	if err := e.free(); err != nil {
		return control.Removed{}, err
	}
	n, err := e.removable(req.Release)
	if err != nil {
		return control.Removed{}, err
	}
	if err := context.Cause(ctx); err != nil {
		return control.Removed{}, err
	}
	e.shelf.Lock()
	defer e.shelf.Unlock()
	text := itemsText(n.set)
	if _, err := e.append(record{Event: control.Event{Kind: Removed, To: n.name, By: req.By, Text: text}}); err != nil {
		return control.Removed{}, err
	}
	gone, err := e.clear(n)
	return control.Removed{Release: n.name, Packages: gone}, err
}

// removable finds a release that nothing rests upon.
func (e *Engine) removable(name string) (*numbered, error) {
	var n, before *numbered
	var names []string
	var serving string
	e.read(func(r *registry) { n, before, names, serving = r.find(name), r.before(), r.names(), r.serving })
	switch {
	case n == nil:
		return nil, e.refuse(codeNoRelease, "there is no release "+name, "the releases are "+strings.Join(names, ", "))
	case name == serving:
		return nil, e.refuse(codeInUse, "release "+name+" is what runs now", "go to another one first: reltool upgrade RELEASE")
	case n == before:
		return nil, e.refuse(codeInUse, "release "+name+" is where a rollback of "+serving+" leads",
			"it can go once another upgrade was made permanent")
	}
	return n, nil
}

// clear takes the packages of a removed release from the store and names those that are gone. The caller holds shelf.
func (e *Engine) clear(n *numbered) (gone []string, err error) {
	needed := map[string]bool{}
	e.read(func(r *registry) {
		for _, other := range r.releases {
			for _, it := range other.set {
				needed[it.Digest] = needed[it.Digest] || !other.removed
			}
		}
	})
	for service, it := range n.set {
		if needed[it.Digest] {
			continue
		}
		if err := e.store.Remove(it.Digest); err != nil {
			return gone, fmt.Errorf("%s is removed, but the package of %s %s is still in the store: %w",
				n.name, service, it.Version, err)
		}
		gone = append(gone, service+" "+it.Version)
	}
	slices.Sort(gone)
	return gone, nil
}

// sweep takes away the packages that a crash in Remove has left.
func (e *Engine) sweep() {
	e.shelf.Lock()
	defer e.shelf.Unlock()
	var removed []*numbered
	e.read(func(r *registry) {
		for _, n := range r.releases {
			if n.removed {
				removed = append(removed, n)
			}
		}
	})
	for _, n := range removed {
		if _, err := e.clear(n); err != nil {
			e.log.Error("a package that nobody needs stays in the store", "error", err)
		}
	}
}

// Removed says whether a version of a service was part of removed releases and of no other.
func (e *Engine) Removed(service, version string) (removed bool) {
	e.read(func(r *registry) {
		for _, n := range r.releases {
			if n.set[service].Version != version {
				continue
			}
			if removed = n.removed; !removed {
				return
			}
		}
	})
	return removed
}

// itemsText lists the services of a release by name.
func itemsText(set map[string]item) string {
	list := make([]string, 0, len(set))
	for name, it := range set {
		list = append(list, name+" "+it.Version)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
