package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/Masterminds/semver/v3"

	"github.com/theseusd/theseus/daemon/watch"
	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/release"
)

// File is theseus.toml: what the operator decides. It is read when the daemon starts, and again for each release that is
// built: what it says of listeners, configuration, restarts and supervisors is part of the release from then on. What it says of the
// drop folder (allow, upgrade, within) is read at each drop; while it has a mistake, the last good one holds, in a daemon that is
// started meanwhile too. If there was none, nothing is taken.
//
//	[releases]
//	allow = ["visits", "cache"]      # what the drop folder takes; every service if missing
//
//	[history]
//	keep = 256                       # upgrades and builds that are kept at least; read when the daemon starts
//
//	[service.visits]
//	upgrade = "auto"                 # or "stage", the default: a dropped package becomes a release, and waits
//	within  = "^1"                   # auto only to these versions; any if missing
//	listen.http = "127.0.0.1:9000"   # instead of the manifest's address
//	config = { greeting = "hello" }  # for the service itself
//	restart = { intensity = 5 }      # instead of the manifest's; type = "transient": only after a failure
//	shutdown = "20s"                 # for an orderly stop, of the 25s that all have when theseusd stops; or "brutal_kill", "infinity"
//	liveness = "10s"                 # without an answer for so long it is killed, and restarted; 30s if missing; or "off"
//
//	[supervisor.backend]             # see SupervisorFile
//	strategy = "rest_for_one"
//	children = ["cache", "visits"]
type File struct {
	Releases   ReleasesFile              `toml:"releases"`
	History    HistoryFile               `toml:"history"`
	Service    map[string]ServiceFile    `toml:"service"`
	Supervisor map[string]SupervisorFile `toml:"supervisor"`

	name   string         // of the file
	unread bool           // it has a mistake, and none without one is known: nothing is allowed
	text   []byte         // as it was read
	places map[string]int // of the keys in it, as in service.visits.listen.http
}

// ReleasesFile is what theseus.toml says of the drop folder.
type ReleasesFile struct {
	Allow []string `toml:"allow"`
}

// HistoryFile is what theseus.toml says of the journal.
type HistoryFile struct {
	Keep int `toml:"keep"` // upgrades.DefaultKeep if 0
}

// ServiceFile is one service in theseus.toml.
type ServiceFile struct {
	Upgrade  Upgrade           `toml:"upgrade"`
	Within   Range             `toml:"within"`
	Listen   map[string]string `toml:"listen"`
	Config   map[string]any    `toml:"config"`
	Restart  RestartFile       `toml:"restart"`
	Shutdown release.Shutdown  `toml:"shutdown"`
	Liveness release.Liveness  `toml:"liveness"`

	Significant bool `toml:"significant"` // its end may end its supervisor: see SupervisorFile
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
	f := &File{name: filepath.Base(path), text: text}
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	if err := appup.Decode(f.name, text, f); err != nil {
		return nil, err
	}
	f.places = places(text)
	if f.History.Keep < 0 {
		return nil, f.at("history.keep"+value, "less than nothing cannot be kept", "")
	}
	for _, name := range slices.Sorted(maps.Keys(f.Service)) {
		if err := f.check(name); err != nil {
			return nil, err
		}
	}
	return f, f.checkTree()
}

// check finds what is well-formed and yet wrong.
func (f *File) check(name string) error {
	s, path := f.Service[name], "service."+name
	for _, listener := range slices.Sorted(maps.Keys(s.Listen)) {
		if err := checkAddress(s.Listen[listener]); err != nil {
			return f.at(path+".listen."+listener+value, err.Error(), "")
		}
	}
	if s.Restart.Intensity < 0 {
		return f.at(path+".restart.intensity"+value, "the intensity is negative", "")
	}
	if _, err := f.settings(name); err != nil {
		return f.at(path+".config", err.Error(), "")
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

// settings of a service that is named, as they become part of a release.
func (f *File) settings(service string) (release.Settings, error) {
	s := f.Service[service]
	d := release.Decisions{Listen: s.Listen}
	if own := s.Restart.Restart; own != (appup.Restart{}) {
		d.Restart = &own
	}
	if len(s.Config) > 0 {
		var err error
		if d.Config, err = json.Marshal(s.Config); err != nil {
			return "", err
		}
	}
	return d.Settings()
}

// Allows is for the drop folder.
func (f *File) Allows(service string) bool {
	return !f.unread && (f.Releases.Allow == nil || slices.Contains(f.Releases.Allow, service))
}

// Rule is for the drop folder.
func (f *File) Rule(service string) watch.Rule {
	s := f.Service[service]
	return watch.Rule{Auto: s.Upgrade == Auto, Constraint: s.Within.text}
}
