package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/Masterminds/semver/v3"
)

// inCode is how the code of a service says its version.
var inCode = regexp.MustCompile(`(?i)version\b[^"\n]*"([0-9]+\.[0-9]+\.[0-9]+[^"\n]*)"`)

// raisedInCode says of each source whose code has a higher version than its manifest that the manifest is what counts.
// It is advice for a build that found nothing: what it cannot read it leaves out.
func raisedInCode(w wanted) (notes []string) {
	all, err := findSources(w.paths)
	if err != nil {
		return nil
	}
	for _, s := range all {
		if _, named := w.names[s.manifest.Name]; !named && len(w.names) > 0 {
			continue
		}
		if v := codeVersion(s); v != nil && v.GreaterThan(s.version) {
			notes = append(notes, fmt.Sprintf("%s has version %s, and %s has %s: the version is taken from %s, raise it there too",
				filepath.Join(s.dir, "main.go"), v, filepath.Join(s.dir, manifestName), s.version, manifestName))
		}
	}
	return notes
}

// codeVersion is the first version that main.go names, or nil.
func codeVersion(s source) *semver.Version {
	text, err := os.ReadFile(filepath.Join(s.dir, "main.go"))
	if err != nil {
		return nil
	}
	found := inCode.FindSubmatch(text)
	if found == nil {
		return nil
	}
	v, err := semver.StrictNewVersion(string(found[1]))
	if err != nil {
		return nil
	}
	return v
}
