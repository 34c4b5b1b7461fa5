package upgrades

import (
	"fmt"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/release"
)

// Supervise tells the host how the services of the release that serves are supervised. Whatever changes that release
// calls it: so the tree goes with the release, and back with it. Who calls it last is told last.
func (e *Engine) Supervise() {
	e.rigged.Lock()
	defer e.rigged.Unlock()
	name, _ := e.bootRelease()
	ps, _ := e.loadSome(name) // a package that cannot be read has no say in the order
	s := e.supervision(e.treeOf(name))
	e.host.Supervise(s, s.Order(ps.requires()))
}

// treeOf is the tree of a release; the root alone for "".
func (e *Engine) treeOf(name string) (t release.Tree) {
	e.read(func(r *registry) { t = r.tree(name) })
	return t
}

// supervision is a tree taken apart.
func (e *Engine) supervision(t release.Tree) release.Supervision {
	s, err := t.Supervision()
	if err != nil {
		e.log.Error("a supervision tree that is none", "error", err)
	}
	return s
}

// treeChanges says for people how one tree differs from another.
func (e *Engine) treeChanges(from, to release.Tree) []string {
	if from == to {
		return nil
	}
	return e.supervision(from).Changes(e.supervision(to))
}

// treeSteps are the lines of a plan for what becomes of the tree. They are done right after the switch, and taken back with
// it.
func treeSteps(changes []string) (list []control.PlanStep) {
	for _, line := range changes {
		list = append(list, control.PlanStep{Name: "supervise", Text: line + "; no process is restarted for it"})
	}
	return list
}

// markTree journals the commit of an upgrade that changes no service.
func (f *flight) markTree() error {
	if len(f.moves) > 0 {
		return nil
	}
	ev := f.event(string(Committed))
	ev.Text = fmt.Sprintf("supervision as in %s", f.to)
	return f.reachWith(record{Event: ev})
}

// requires are the services of a release with those that they require.
func (ps packages) requires() release.Requires {
	r := release.Requires{}
	for name, p := range ps {
		r[name] = nil
		if p.Manifest == nil {
			continue
		}
		for other := range p.Manifest.Requires {
			r[name] = append(r[name], other)
		}
	}
	return r
}

// starts lists what a service waits for at a boot: what it requires, and what comes before it under its supervisors.
func (ps packages) starts(s release.Supervision, service string) []string {
	list := s.Before(service)
	if m := ps[service].Manifest; m != nil {
		for other := range m.Requires {
			list = append(list, other)
		}
	}
	return list
}
