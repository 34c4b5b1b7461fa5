package release

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/theseusd/theseus/sdk/describe"
	"github.com/theseusd/theseus/upgrades/appup"
)

// Extension is how the name of a package file ends.
const Extension = ".tpk"

// The files of a package, in their order.
const (
	metaFile     = "package.json"
	manifestFile = "appup.toml"
	describeFile = "describe.json"
	binaryFile   = "service"
)

var contents = []string{metaFile, manifestFile, describeFile, binaryFile}

// Package is a verified package in the store.
type Package struct {
	Name     string
	Version  string
	Digest   string // sha256 of the .tpk file, in hex
	Dir      string // in the store
	Manifest *appup.Manifest
	Describe describe.Service
	Settings Settings // of the release that it is part of; not from the store
}

// Binary is the path of the service's binary. Only this file is ever executed.
func (p Package) Binary() string { return filepath.Join(p.Dir, binaryFile) }

// Appup is the package as package appup compares it.
func (p Package) Appup() appup.Version {
	return appup.Version{Manifest: p.Manifest, Describe: p.Describe}
}

// meta is package.json.
type meta struct {
	Name    string            `json:"name"`
	Version string            `json:"version"`
	OS      string            `json:"os"`
	Arch    string            `json:"arch"`
	Built   time.Time         `json:"built,omitzero"` // of the sources, as far as the binary knows
	Digests map[string]string `json:"digests"`        // file: sha256 in hex
}

// FileName is the name of a package file, NAME-VERSION.tpk.
func FileName(name, version string) string { return name + "-" + version + Extension }

var fileForm = regexp.MustCompile(`^([a-z][a-z0-9]*(?:-[a-z][a-z0-9]*)*)-([0-9].*)$`)

// ParseFileName takes the name of a package file apart. It is not ok if it does not have the form of FileName.
func ParseFileName(file string) (name, version string, ok bool) {
	base, isPackage := strings.CutSuffix(filepath.Base(file), Extension)
	parts := fileForm.FindStringSubmatch(base)
	if !isPackage || parts == nil {
		return "", "", false
	}
	if _, err := semver.StrictNewVersion(parts[2]); err != nil {
		return "", "", false
	}
	return parts[1], parts[2], true
}

// RejectError says why a package is refused.
type RejectError struct {
	File   string // base name of the package file
	Reason string
	Hint   string // what to do; may be empty
	Err    error  // what lies below, such as an *appup.ParseError; may be nil
}

func (e *RejectError) Error() string { return fmt.Sprintf("%s refused: %s", e.File, e.Reason) }
func (e *RejectError) Unwrap() error { return e.Err }
