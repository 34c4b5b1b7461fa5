package daemon

import (
	"context"
	"path/filepath"

	"github.com/Masterminds/semver/v3"

	"github.com/theseusd/theseus/upgrades/release"
)

// adopt makes the first release of an empty instance out of what lies in the drop folder: of each service the highest
// version that is no prerelease. What is no good package is left to the watch, which sets it aside.
func (d *Daemon) adopt(ctx context.Context) error {
	if len(d.engine.Releases()) > 0 {
		return nil
	}
	if err := d.takes(); err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(d.paths.Releases, "*.tpk"))
	if err != nil {
		return err
	}
	rules := d.rules()
	best := map[string]release.Package{}
	for _, path := range paths {
		if name, _, _ := release.ParseFileName(path); !rules.Allows(name) {
			continue
		}
		p, err := d.store.Add(ctx, path)
		if err != nil {
			d.log.Debug("not part of the first release", "package", filepath.Base(path), "error", err)
			continue
		}
		if old, ok := best[p.Name]; isFinal(p) && (!ok || newer(p, old)) {
			best[p.Name] = p
		}
	}
	if len(best) == 0 {
		return nil
	}
	var list []release.Package
	for _, p := range best {
		list = append(list, p)
	}
	_, err = d.engine.Build(ctx, list, "theseusd")
	return err
}

func isFinal(p release.Package) bool {
	v, err := semver.NewVersion(p.Version)
	return err == nil && v.Prerelease() == ""
}

func newer(p, than release.Package) bool {
	v, err := semver.NewVersion(p.Version)
	if err != nil {
		return false
	}
	old, err := semver.NewVersion(than.Version)
	return err != nil || v.GreaterThan(old)
}
