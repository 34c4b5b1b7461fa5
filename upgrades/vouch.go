package upgrades

import (
	"fmt"
	"slices"
	"strings"

	"github.com/theseusd/theseus/upgrades/release"
)

// checkTrust refuses a plan that would run a version that nobody vouches for any more, or go down to one that was signed
// before what has been permanent here and never served here itself: an old package that somebody plays back. What runs
// already is not asked about, and neither is a way back under way.
func (e *Engine) checkTrust(from, to packages) error {
	for _, name := range to.names() {
		p, old := to[name], from[name]
		if old.Digest == p.Digest {
			continue
		}
		if err := e.store.Vouch(p); err != nil {
			return e.refuse(codeUntrusted, err.Error(), "see: reltool trust list")
		}
		if p.Seq < e.Seq(name) && newer(old.Version, p.Version) && !e.hasServed(p) {
			return e.refuse(codeUntrusted,
				fmt.Sprintf("%s %s is older than what has served here, and has never served here itself", name, p.Version),
				fmt.Sprintf("if you want it, build it again: reltool build %s@%s", name, p.Version))
		}
	}
	return nil
}

// checkVersions refuses versions that are taken.
func (e *Engine) checkVersions(pkgs []release.Package) error {
	for _, p := range pkgs {
		if no := e.Taken(p); no != nil {
			return e.refuse(codeBadPackage, no.Reason, no.Hint)
		}
	}
	return nil
}

// Taken is why a package cannot come in, or nil: its version has served here, or is in a release, with other content. What
// was built and is in no release takes no version.
func (e *Engine) Taken(p release.Package) *release.RejectError {
	served, in := false, []string{}
	e.read(func(r *registry) {
		for _, n := range r.releases {
			if it := n.set[p.Name]; it.Version != p.Version || it.Digest == p.Digest {
				continue
			}
			if served = served || n.served; !n.removed {
				in = append(in, n.name)
			}
		}
	})
	no := &release.RejectError{Err: release.ErrTaken, Hint: "raise the version in appup.toml and in the program, and build again"}
	switch {
	case served:
		no.Reason = fmt.Sprintf("%s %s has served here with other content, and a version never changes", p.Name, p.Version)
	case len(in) > 0:
		no.Reason = fmt.Sprintf("%s %s is in %s with other content, and a version never changes", p.Name, p.Version, strings.Join(in, ", "))
		no.Hint += "; or give up what never served: reltool remove " + strings.Join(in, " and reltool remove ")
	default:
		return nil
	}
	return no
}

// Discard takes packages from the store that came for nothing: a build that was refused leaves nothing behind. What was there before
// stays, as somebody else may be about to build with it, and what a release has.
func (e *Engine) Discard(pkgs []release.Package) {
	e.shelf.Lock()
	defer e.shelf.Unlock()
	for _, p := range pkgs {
		if !p.Fresh || e.holds(p) {
			continue
		}
		if err := e.store.Remove(p.Digest); err != nil {
			e.log.Error("a package that nobody needs stays in the store", "error", err)
		}
	}
}

// holds tells whether a release has the package.
func (e *Engine) holds(p release.Package) (held bool) {
	e.read(func(r *registry) {
		held = slices.ContainsFunc(r.releases, func(n *numbered) bool { return !n.removed && n.set[p.Name].Digest == p.Digest })
	})
	return held
}

func (e *Engine) hasServed(p release.Package) bool {
	return slices.ContainsFunc(e.served(p.Name), func(it item) bool { return it.Digest == p.Digest })
}

// Seq is the highest one of all versions of a service that have been permanent here. What is below it was signed before
// one of them, and is never applied without somebody asking for it.
func (e *Engine) Seq(service string) (seq int64) {
	e.read(func(r *registry) { seq = r.seq[service] })
	return seq
}

// raise remembers the highest seq of a service that has become permanent.
func (r *registry) raise(service string, seq int64) { r.seq[service] = max(r.seq[service], seq) }
