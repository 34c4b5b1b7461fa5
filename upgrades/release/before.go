package release

import (
	"fmt"
	"slices"

	"github.com/Masterminds/semver/v3"

	"github.com/theseusd/theseus/upgrades/appup"
)

// maxBefore is how many bytes of earlier manifests a package carries: package.json is a small file.
const maxBefore = 256 << 10

// chain orders the manifests of lower versions, the highest first, as far as there is room for them.
func chain(m *appup.Manifest, texts [][]byte) (list []string, err error) {
	list = make([]string, len(texts))
	for i, text := range texts {
		list[i] = string(text)
	}
	parsed, err := parseBefore(m, list)
	if err != nil {
		return nil, err
	}
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return compareVersions(parsed[b].Version, parsed[a].Version) })
	var kept []string
	room := maxBefore
	for _, i := range order {
		if room -= len(list[i]); room < 0 {
			break
		}
		kept = append(kept, list[i])
	}
	return kept, nil
}

// parseBefore reads the manifests of lower versions that a package carries.
func parseBefore(m *appup.Manifest, texts []string) (list []*appup.Manifest, err error) {
	seen := map[string]bool{}
	for _, text := range texts {
		b, err := appup.Parse(manifestFile, []byte(text))
		switch {
		case err != nil:
			return nil, fmt.Errorf("an earlier version: %w", err)
		case b.Name != m.Name || compareVersions(b.Version, m.Version) >= 0:
			return nil, fmt.Errorf("%s %s is no earlier version of %s %s", b.Name, b.Version, m.Name, m.Version)
		case seen[b.Version]:
			return nil, fmt.Errorf("%s %s is there twice", b.Name, b.Version)
		}
		seen[b.Version] = true
		list = append(list, b)
	}
	return list, nil
}

// compareVersions compares versions of manifests, which are semantic ones.
func compareVersions(a, b string) int {
	x, errX := semver.StrictNewVersion(a)
	y, errY := semver.StrictNewVersion(b)
	if errX != nil || errY != nil {
		return 0
	}
	return x.Compare(y)
}
