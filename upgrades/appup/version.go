package appup

import (
	"fmt"
	"slices"

	"github.com/Masterminds/semver/v3"

	"github.com/theseusd/theseus/sdk/describe"
)

// Version is one version of a service: its manifest, and what its binary says of itself.
type Version struct {
	Manifest *Manifest
	Describe describe.Service
}

// Check says whether the manifest and the binary are of the same version and agree. Errors are *ParseError.
func (v Version) Check() error {
	m, d := v.Manifest, v.Describe
	if m.Name != d.Name {
		return m.src.at("name", fmt.Sprintf("the manifest is of %s, the binary of %s", m.Name, d.Name), "")
	}
	if m.Version != d.Version {
		return m.src.at("version", fmt.Sprintf("the manifest is of version %s, the binary of %s", m.Version, d.Version), "")
	}
	for _, name := range d.Listeners {
		if name != "control" && !m.listens(name) {
			return m.src.at("listen", fmt.Sprintf("the binary serves a listener %q, which the manifest does not open", name),
				fmt.Sprintf("write [[listen]] with name = %q", name))
		}
	}
	for i, table := range m.Drop {
		if _, ok := d.Table(table); ok {
			return m.src.at(fmt.Sprintf("drop[%d]", i), fmt.Sprintf("the binary still has the table %s", table), "")
		}
	}
	for i, verb := range m.DropVerbs {
		if slices.Contains(verbs(d), verb) {
			return m.src.at(fmt.Sprintf("drop_verbs[%d]", i), fmt.Sprintf("the binary still has the verb %s", verb), "")
		}
	}
	return nil
}

// listens says whether the manifest opens a listener of that name.
func (m *Manifest) listens(name string) bool {
	return slices.ContainsFunc(m.Listen, func(l Listen) bool { return l.Name == name })
}

// semver is the version as something that can be compared.
func (v Version) semver() (*semver.Version, error) {
	sv, err := semver.StrictNewVersion(v.Manifest.Version)
	if err != nil {
		return nil, fmt.Errorf("version %q of %s: %w", v.Manifest.Version, v.Manifest.Name, err)
	}
	return sv, nil
}
