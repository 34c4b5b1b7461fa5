package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/theseusd/theseus/upgrades/appup"
)

// manifestName is the file that makes a folder the source of a service.
const manifestName = "appup.toml"

// source is a folder that holds one version of a service.
type source struct {
	dir      string
	text     []byte // of the manifest, as it goes into the package
	manifest *appup.Manifest
	version  *semver.Version
	loose    bool // packed without compression
}

func (s source) String() string { return s.manifest.Name + " " + s.manifest.Version }

// wanted is what the arguments of a build ask for: folders, and names with or without a version.
type wanted struct {
	paths  []string
	names  map[string]string // service: version, "" for the highest
	remove []string          // services that the release is to be without
}

// parseWanted tells folders from names: an argument with a "/" or that is "." is a folder, as is the name of one
// that has a manifest in it.
func parseWanted(args []string) (wanted, error) {
	w := wanted{names: map[string]string{}}
	for _, arg := range args {
		if isFolder(arg) {
			w.paths = append(w.paths, arg)
			continue
		}
		name, version, _ := strings.Cut(arg, "@")
		if _, twice := w.names[name]; twice {
			return w, &usageError{text: fmt.Sprintf("%s is asked for twice", name)}
		}
		w.names[name] = version
	}
	return w, nil
}

func isFolder(arg string) bool {
	if strings.ContainsRune(arg, filepath.Separator) || arg == "." || arg == ".." {
		return true
	}
	_, err := os.Stat(filepath.Join(arg, manifestName))
	return err == nil
}

// places are where manifests are looked for, below a folder.
var places = []string{".", "*", "*/*", "plugins/*", "plugins/*/*"}

// findSources reads the manifests of the given folders, or of the plugins below the current one.
func findSources(paths []string) ([]source, error) {
	var found []string
	if len(paths) == 0 {
		found = glob(".", places[3:])
	}
	for _, path := range paths {
		here := glob(path, places)
		if len(here) == 0 {
			return nil, &hinted{
				fmt.Errorf("there is no %s in %s or below it", manifestName, path),
				"the source of a service is a folder with main.go and " + manifestName,
			}
		}
		found = append(found, here...)
	}
	slices.Sort(found)
	return readSources(slices.Compact(found))
}

func glob(dir string, patterns []string) []string {
	var found []string
	for _, p := range patterns {
		list, _ := filepath.Glob(filepath.Join(quoteGlob(dir), p, manifestName)) // the patterns are good
		found = append(found, list...)
	}
	return found
}

// quoteGlob makes a folder's name stand for itself in a pattern.
func quoteGlob(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

// readSources reads every manifest; one that is wrong ends the build, so that no version goes missing silently.
func readSources(files []string) ([]source, error) {
	seen := map[string]string{}
	var list []source
	for _, file := range files {
		s, err := readSource(file)
		if err != nil {
			return nil, err
		}
		if other, twice := seen[s.String()]; twice {
			return nil, fmt.Errorf("%s is in two folders: %s and %s", s, other, s.dir)
		}
		seen[s.String()] = s.dir
		list = append(list, s)
	}
	return list, nil
}

// predecessors are the manifests of lower versions in the folders beside a source, for paths that lead through them.
func predecessors(s source) (texts [][]byte, err error) {
	dir, err := filepath.Abs(s.dir)
	if err != nil {
		return nil, err
	}
	for _, file := range glob(filepath.Dir(dir), []string{"*"}) {
		other, err := readSource(file)
		if err != nil {
			continue // perhaps of another service, and not asked for
		}
		if other.manifest.Name == s.manifest.Name && other.version.LessThan(s.version) && other.version.Prerelease() == "" {
			texts = append(texts, other.text)
		}
	}
	return texts, nil
}

func readSource(file string) (source, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return source{}, err
	}
	m, err := appup.Parse(file, text)
	if err != nil {
		return source{}, err
	}
	v, err := semver.StrictNewVersion(m.Version)
	if err != nil {
		return source{}, fmt.Errorf("%s: version %q: %w", file, m.Version, err)
	}
	return source{dir: filepath.Dir(file), text: text, manifest: m, version: v}, nil
}

// pick chooses what to build: for each name the version that is asked for, else the highest one that is no
// pre-release and higher than the one that runs.
func pick(sources []source, w wanted, running map[string]string) ([]source, error) {
	sorted := byName(sources)
	if len(w.names) == 0 {
		return pickAll(sorted, running), nil
	}
	var list []source
	for name, version := range w.names {
		s, err := pickOne(sorted[name], name, version, running[name])
		if err != nil {
			return nil, err
		}
		list = append(list, s...)
	}
	slices.SortFunc(list, inOrder)
	return list, nil
}

// byName sorts sources by their service.
func byName(sources []source) map[string][]source {
	sorted := map[string][]source{}
	for _, s := range sources {
		sorted[s.manifest.Name] = append(sorted[s.manifest.Name], s)
	}
	return sorted
}

func pickAll(byName map[string][]source, running map[string]string) []source {
	var list []source
	for name, versions := range byName {
		if s, ok := newest(versions, running[name]); ok {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, inOrder)
	return list
}

// pickOne finds one service's version; none is no error if what runs is the newest.
func pickOne(versions []source, name, version, running string) ([]source, error) {
	if len(versions) == 0 {
		return nil, &hinted{
			fmt.Errorf("there is no source of %s", name),
			"run it where plugins/ is, or give the folder as a path: . for this one, ./DIR for another",
		}
	}
	if version == "" {
		if s, ok := newest(versions, running); ok {
			return []source{s}, nil
		}
		return nil, nil
	}
	for _, s := range versions {
		if s.manifest.Version == version {
			return []source{s}, nil
		}
	}
	slices.SortFunc(versions, inOrder)
	return nil, fmt.Errorf("there is no source of %s %s, only of %s", name, version, versionsOf(versions))
}

func versionsOf(sources []source) string {
	var list []string
	for _, s := range sources {
		list = append(list, s.manifest.Version)
	}
	return strings.Join(list, ", ")
}

// newest is the highest version that is no pre-release and higher than the running one.
func newest(versions []source, running string) (best source, ok bool) {
	floor, err := semver.NewVersion(running)
	for _, s := range versions {
		if s.version.Prerelease() != "" || (err == nil && !s.version.GreaterThan(floor)) {
			continue
		}
		if !ok || s.version.GreaterThan(best.version) {
			best, ok = s, true
		}
	}
	return best, ok
}

func inOrder(a, b source) int {
	return cmp.Or(strings.Compare(a.manifest.Name, b.manifest.Name), a.version.Compare(b.version))
}
