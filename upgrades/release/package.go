package release

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/theseusd/theseus/sdk/describe"
	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/trust"
)

// Extension is how the name of a package file ends.
const Extension = ".tpk"

// The files of a package, in their order.
const (
	metaFile      = "package.json"
	signatureFile = "package.json.minisig"
	manifestFile  = "appup.toml"
	describeFile  = "describe.json"
	binaryFile    = "service"
)

var (
	contents = []string{metaFile, signatureFile, manifestFile, describeFile, binaryFile}
	listed   = contents[2:] // in package.json
)

// Package is a verified package in the store.
type Package struct {
	Name     string
	Version  string
	Digest   string // of what it is: see Store
	Dir      string // in the store
	Seq      int64  // a later one was signed later; milliseconds since 1970
	Key      trust.ID
	Manifest *appup.Manifest
	Describe describe.Service
	Before   []*appup.Manifest // of lower versions, as far as its author had them: the way may lead through these
	Settings Settings          // of the release that it is part of; not from the store
	Fresh    bool              // this Add has brought it: it was not in the store
}

// Binary is the path of the service's binary. Only this file is ever executed.
func (p Package) Binary() string { return filepath.Join(p.Dir, binaryFile) }

// Decisions are the settings that the package runs with: those of its release, or what is there for a service of a release
// from before there were any.
func (p Package) Decisions(before func(service string) Settings) (Decisions, error) {
	s := p.Settings
	if s == "" {
		s = before(p.Name)
	}
	return s.Decisions()
}

// Appup is the package as package appup compares it.
func (p Package) Appup() appup.Version {
	return appup.Version{Manifest: p.Manifest, Describe: p.Describe}
}

// meta is package.json, the one file that is signed.
type meta struct {
	Name    string          `json:"name"`
	Version string          `json:"version"`
	OS      string          `json:"os"`
	Arch    string          `json:"arch"`
	Seq     int64           `json:"seq"`
	Created time.Time       `json:"created"`
	Files   map[string]part `json:"files"`            // the others
	Before  []string        `json:"before,omitempty"` // appup.toml of lower versions, the highest first
}

// part is what package.json says of a file.
type part struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// digest names what the package is: its name, version and machine, and every byte of its files. When and by whom it was
// signed is no part of that, nor is what it tells of earlier versions, so the same build is the same package.
func (m meta) digest() string {
	text, err := json.Marshal(struct {
		Name, Version, OS, Arch string
		Files                   map[string]part
	}{m.Name, m.Version, m.OS, m.Arch, m.Files})
	if err != nil {
		panic(fmt.Sprintf("release: package.json that is no JSON: %v", err)) // plain data always is
	}
	return digest(text)
}

// comment is the trusted comment of the signature. It keeps a signature that the key made for something else from
// counting for a package.
func (m meta) comment() string {
	return fmt.Sprintf("theseus package %s %s seq %d", m.Name, m.Version, m.Seq)
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

// ErrTaken is wrapped by the refusal of a package whose version is taken with other content.
var ErrTaken = errors.New("the version is taken")

// RejectError says why a package is refused.
type RejectError struct {
	File   string // base name of the package file
	Reason string
	Hint   string // what to do; may be empty
	Err    error  // what lies below, such as an *appup.ParseError; may be nil
}

func (e *RejectError) Error() string { return fmt.Sprintf("%s refused: %s", e.File, e.Reason) }
func (e *RejectError) Unwrap() error { return e.Err }
