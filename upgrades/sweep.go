package upgrades

import "github.com/theseusd/theseus/upgrades/release"

// Sweep takes packages from the store that no release has: a crash has cut short the build that brought them. What a
// process runs from stays, and so does everything on an instance without a release. Call it before anybody can build.
func (e *Engine) Sweep() {
	e.shelf.Lock()
	defer e.shelf.Unlock()
	empty := false
	e.read(func(r *registry) { empty = len(r.releases) == 0 })
	if empty {
		return // of a new instance, or of one whose journal somebody has taken away
	}
	all, err := e.store.List()
	if err != nil {
		e.log.Warn("what cannot be read stays in the store", "error", err)
	}
	for _, p := range all {
		if e.holds(p) || e.runs(p) {
			continue
		}
		e.log.Info("a package that no release has is removed", "service", p.Name, "version", p.Version)
		if err := e.store.Remove(p.Digest); err != nil {
			e.log.Error("a package that nobody needs stays in the store", "error", err)
		}
	}
}

// runs tells whether a process lives that was started from the package.
func (e *Engine) runs(p release.Package) bool {
	for _, in := range e.host.Instances(p.Name) {
		if alive(in) && in.Package().Digest == p.Digest {
			return true
		}
	}
	return false
}
