package main

import (
	"context"
	"fmt"

	"github.com/Masterminds/semver/v3"

	"github.com/theseusd/theseus/upgrades/appup"
)

// covered refuses a source that cannot follow the next lower version there is a source of, which is what an instance
// would say later.
func (t *tool) covered(ctx context.Context, w wanted, picked []source) error {
	all, err := everySource(w)
	if err != nil {
		return err
	}
	for _, s := range picked {
		older, ok := lower(all, s)
		if !ok {
			continue
		}
		t.hint(fmt.Sprintf("comparing %s with %s", s, older.version))
		if err := follows(ctx, older, s); err != nil {
			return err
		}
	}
	return nil
}

// follows compares two sources, upwards and down.
func follows(ctx context.Context, older, newer source) error {
	from, err := examine(ctx, older)
	if err != nil {
		return err
	}
	to, err := examine(ctx, newer)
	if err != nil {
		return err
	}
	if err := to.Check(); err != nil {
		return err
	}
	if _, err := appup.Compile(from, to); err != nil {
		return &hinted{err, appup.Hint(err)}
	}
	return nil
}

// everySource is every source there is: those of the folders that were given, and of the checkout around.
func everySource(w wanted) ([]source, error) {
	list, err := findSources(w.paths)
	if err != nil || len(w.paths) == 0 {
		return list, err
	}
	seen := map[string]bool{}
	for _, s := range list {
		seen[s.String()] = true
	}
	around, err := findSources(nil)
	if err != nil {
		return list, nil //nolint:nilerr // nobody asked for these
	}
	for _, s := range around {
		if !seen[s.String()] {
			list = append(list, s)
		}
	}
	return list, nil
}

// lower is the highest source of the same service below s that is no pre-release.
func lower(sources []source, s source) (source, bool) {
	var below []source
	for _, other := range sources {
		if other.manifest.Name == s.manifest.Name && other.version.LessThan(s.version) {
			below = append(below, other)
		}
	}
	return newest(below, "")
}

// byVersion finds the source of exactly this version of a service.
func byVersion(sources []source, name string, version *semver.Version) (source, bool) {
	for _, s := range sources {
		if s.manifest.Name == name && s.version.Equal(version) {
			return s, true
		}
	}
	return source{}, false
}
