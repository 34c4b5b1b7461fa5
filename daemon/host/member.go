package host

import (
	"slices"

	"github.com/theseusd/theseus/sdk/supervise"
)

// member is a child of a group as it is to be.
type member struct {
	supervise.ChildSpec
	sub *group // that it is; nil for a service
}

func specs(list []member) []supervise.ChildSpec {
	all := make([]supervise.ChildSpec, len(list))
	for i, m := range list {
		all[i] = m.ChildSpec
	}
	return all
}

func sameID(a, b member) bool { return a.ID == b.ID }

// same is true for two that are started alike: what starts a service is known by its ID.
func same(a, b member) bool {
	return sameID(a, b) && a.sub == b.sub && a.Restart == b.Restart && a.Shutdown == b.Shutdown && a.Kind == b.Kind && a.Significant == b.Significant
}

// fits is true if the group is what it is to be.
func (g *group) fits(flags supervise.Flags, children []member) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.flags
	return f.Strategy == flags.Strategy && f.Intensity == flags.Intensity && f.Period == flags.Period && f.AutoShutdown == flags.AutoShutdown &&
		slices.EqualFunc(g.children, children, same)
}

// forget takes note that a child has left.
func (g *group) forget(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.children = slices.DeleteFunc(slices.Clone(g.children), func(m member) bool { return m.ID == id })
	g.changed = true
}

func (g *group) isChanged() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changed
}

// settled takes note that everybody has entered, unless the supervisor is at work.
func (g *group) settled() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.changed = g.changed && g.busy
}
