package upgrades

import (
	"fmt"
	"slices"

	"github.com/Masterminds/semver/v3"

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
		if p.Seq < e.Seq(name) && lower(p.Version, old.Version) && !e.hasServed(p) {
			return e.refuse(codeUntrusted,
				fmt.Sprintf("%s %s is older than what has served here, and has never served here itself", name, p.Version),
				fmt.Sprintf("if you want it, build it again: reltool build %s@%s", name, p.Version))
		}
	}
	return nil
}

// checkVersions refuses versions that have served here with other content.
func (e *Engine) checkVersions(pkgs []release.Package) error {
	for _, p := range pkgs {
		for _, it := range e.served(p.Name) {
			if it.Version == p.Version && it.Digest != p.Digest {
				return e.refuse(codeBadPackage,
					fmt.Sprintf("%s %s has served here with other content, and a version never changes", p.Name, p.Version),
					"raise the version in appup.toml and in the program, and build again")
			}
		}
	}
	return nil
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

func lower(a, b string) bool {
	x, errX := semver.NewVersion(a)
	y, errY := semver.NewVersion(b)
	return errX == nil && errY == nil && x.LessThan(y)
}
