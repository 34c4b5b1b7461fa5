package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/Masterminds/semver/v3"

	"github.com/theseusd/theseus/daemon/host"
	"github.com/theseusd/theseus/daemon/watch"
	"github.com/theseusd/theseus/upgrades/appup"
)

// File is theseus.toml: what the operator decides. It is read when the daemon starts.
//
//	[service.visits]
//	upgrade = "auto"                 # or "stage", the default: a dropped package becomes a release, and waits
//	within  = "^1"                   # auto only to these versions; any if missing
//	listen.http = "127.0.0.1:9000"   # instead of the manifest's address
//	config = { greeting = "hello" }  # for the service itself
type File struct {
	Service map[string]ServiceFile `toml:"service"`
}

// ServiceFile is one service in theseus.toml.
type ServiceFile struct {
	Upgrade Upgrade           `toml:"upgrade"`
	Within  Range             `toml:"within"`
	Listen  map[string]string `toml:"listen"`
	Config  map[string]any    `toml:"config"`
}

// Upgrade says what becomes of a dropped package.
type Upgrade uint8

// Stage makes a release, and waits; Auto upgrades to it.
const (
	Stage Upgrade = iota
	Auto
)

// UnmarshalText accepts the two words and nothing else.
func (u *Upgrade) UnmarshalText(text []byte) error {
	switch string(text) {
	case "stage":
		*u = Stage
	case "auto":
		*u = Auto
	default:
		return fmt.Errorf(`upgrade is %q, not "auto" or "stage"`, text)
	}
	return nil
}

// Range is a semver range; the zero value is every version. It is no string: those the TOML library does not have
// checked.
type Range struct{ text string }

// UnmarshalText accepts what semver does.
func (r *Range) UnmarshalText(text []byte) error {
	if _, err := semver.NewConstraint(string(text)); err != nil {
		return fmt.Errorf(`%q is no range of versions; write "^1", "~2.1" or ">= 1.2, < 2"`, text)
	}
	r.text = string(text)
	return nil
}

// Load reads theseus.toml. A missing one is empty; what is wrong in it is an *appup.ParseError with line and caret.
func Load(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &File{}, nil
	}
	if err != nil {
		return nil, err
	}
	f := &File{}
	if err := appup.Decode(filepath.Base(path), text, f); err != nil {
		return nil, err
	}
	return f, f.check(path)
}

// check finds what is well-formed and yet wrong.
func (f *File) check(path string) error {
	for name, s := range f.Service {
		for listener, address := range s.Listen {
			if err := checkAddress(address); err != nil {
				return fmt.Errorf("%s: service.%s.listen.%s: %w", path, name, listener, err)
			}
		}
		if _, err := json.Marshal(s.Config); err != nil {
			return fmt.Errorf("%s: service.%s.config: %w", path, name, err)
		}
	}
	return nil
}

// checkAddress wants a host: without one the service would serve the whole world.
func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return fmt.Errorf(`%q is no address like "127.0.0.1:8081" ("0.0.0.0:8081" for all networks)`, address)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q: the port is a number from 0 to 65535", address)
	}
	return nil
}

// settings are for the host.
func (f *File) settings(service string) host.Settings {
	s := f.Service[service]
	out := host.Settings{Listen: s.Listen}
	if len(s.Config) > 0 {
		out.Config, _ = json.Marshal(s.Config) // Load has tried
	}
	return out
}

// rule is for the drop folder.
func (f *File) rule(service string) watch.Rule {
	s := f.Service[service]
	return watch.Rule{Auto: s.Upgrade == Auto, Constraint: s.Within.text}
}
