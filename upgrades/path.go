package upgrades

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/release"
)

// compile asks the newer one of two versions how to go. If it does not know the other one, the way may lead through the
// manifests of versions between them, none of which is started for that.
func (e *Engine) compile(from, to release.Package) (*appup.Relup, error) {
	relup, err := e.findWay(from, to)
	if err != nil && newer(from.Version, to.Version) && e.holds(from) {
		err = appup.WithHint(err, fmt.Sprintf("%s %s is in a release, and a version never changes: give what is to run a version above %[2]s",
			from.Name, from.Version))
	}
	return relup, err
}

func (e *Engine) findWay(from, to release.Package) (*appup.Relup, error) {
	relup, err := appup.Compile(from.Appup(), to.Appup())
	var none *appup.NoAppupError
	if !errors.As(err, &none) || from.Version == to.Version {
		return relup, err
	}
	relup, err = appup.Compile(from.Appup(), to.Appup(), e.manifests(from, to)...)
	if errors.As(err, &none) {
		if lost := e.lostBetween(from, to); len(lost) > 0 {
			none.Hint = fmt.Sprintf("%s %s no longer in the store, and no package tells of it: build it again, or\n\n%s",
				strings.Join(lost, ", "), isOrAre(len(lost)), none.Hint)
		}
	}
	return relup, err
}

// noWayBack warns of each service that goes up between two sets of packages and cannot go back down once the probation is
// over, though its manifest does not say so.
func (e *Engine) noWayBack(from, to packages) (warnings []string) {
	for _, name := range to.names() {
		old, now := from[name], to[name]
		if !newer(now.Version, old.Version) {
			continue
		}
		if up, err := e.findWay(old, now); err != nil || up.Irreversible {
			continue
		}
		if _, err := e.findWay(now, old); err != nil {
			warnings = append(warnings, fmt.Sprintf("after the probation there is no way back: %s; what to write: reltool appup %s@%s",
				oneLine(err), name, now.Version))
		}
	}
	return warnings
}

// oneLine is an error of Compile without the line of the manifest that it shows.
func oneLine(err error) string {
	var bad *appup.ParseError
	if errors.As(err, &bad) {
		return bad.Short()
	}
	return err.Error()
}

func isOrAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// manifests are all that is known of other versions of a service, what counts most first: those that the two packages
// carry, the newer one's before the other's, then those of the packages of releases and what these carry.
func (e *Engine) manifests(from, to release.Package) []*appup.Manifest {
	stored, err := e.store.Versions(to.Name)
	if err != nil {
		e.log.Warn("packages in the store cannot be read", "service", to.Name, "error", err)
	}
	stored = slices.DeleteFunc(stored, func(p release.Package) bool { return !e.holds(p) }) // a build that was cut short
	list := slices.Concat(from.Before, to.Before)
	if newer(to.Version, from.Version) {
		list = slices.Concat(to.Before, from.Before)
	}
	for _, p := range stored {
		list = append(list, p.Manifest)
	}
	for _, p := range slices.Backward(stored) {
		list = append(list, p.Before...)
	}
	return list
}

// lostBetween are the versions between two that some release has and nobody tells of any more.
func (e *Engine) lostBetween(from, to release.Package) (lost []string) {
	known := map[string]bool{from.Version: true, to.Version: true}
	for _, m := range e.manifests(from, to) {
		known[m.Version] = true
	}
	low, high := from.Version, to.Version
	if newer(low, high) {
		low, high = high, low
	}
	e.read(func(r *registry) {
		for _, n := range r.releases {
			v := n.set[to.Name].Version
			if v != "" && !known[v] && newer(v, low) && newer(high, v) {
				known[v] = true
				lost = append(lost, to.Name+" "+v)
			}
		}
	})
	return lost
}

// newer says whether version a is above b.
func newer(a, b string) bool {
	x, errX := semver.StrictNewVersion(a)
	y, errY := semver.StrictNewVersion(b)
	return errX == nil && errY == nil && x.GreaterThan(y)
}
