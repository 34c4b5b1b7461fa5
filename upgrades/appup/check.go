package appup

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"

	"github.com/Masterminds/semver/v3"
)

// IsName is true for what a service, and whatever stands beside services, may be called.
func IsName(name string) bool { return nameForm.MatchString(name) }

// nameForm lets NAME-VERSION be taken apart again, and is safe in the name of a file.
var nameForm = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*$`)

const maxName = 40 // a name becomes part of the path of a unix socket, which is short

// reserved are the commands that are the system's own.
var reserved = []string{"theseus", "theseusd", "reltool"}

// check checks what types do not say. The first error wins.
func (m *Manifest) check() error {
	checks := []func() *ParseError{
		m.checkIdentity, m.checkListen, m.checkUp, m.checkDown, m.checkDrop, m.checkRequires, m.checkRestart, m.checkProbation,
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manifest) checkIdentity() *ParseError {
	if err := m.checkName("name", m.Name); err != nil {
		return err
	}
	if m.Version == "" {
		return m.src.at("version", "version is missing", `write version = "1.0.0"`)
	}
	if _, err := semver.StrictNewVersion(m.Version); err != nil {
		return m.src.at("version", fmt.Sprintf("%q is no semantic version", m.Version), `write it as "1.2.3" or "1.2.3-rc1"`)
	}
	if m.Command == "" {
		return nil
	}
	if slices.Contains(reserved, m.Command) {
		return m.src.at("command", fmt.Sprintf("the command %q is taken", m.Command), "")
	}
	return m.checkName("command", m.Command)
}

func (m *Manifest) checkName(path, name string) *ParseError {
	const form = `a name is lower case letters and digits, as in "chat" or "rate-limit"`
	switch {
	case name == "":
		return m.src.at(path, path+" is missing", form)
	case !nameForm.MatchString(name):
		return m.src.at(path, fmt.Sprintf("%q is no name", name), form)
	case len(name) > maxName:
		return m.src.at(path, fmt.Sprintf("a name has at most %d letters, this one %d", maxName, len(name)), "")
	}
	return nil
}

func (m *Manifest) checkListen() *ParseError {
	names, addresses := make(map[string]bool), make(map[string]bool)
	for i, l := range m.Listen {
		path := fmt.Sprintf("listen[%d]", i)
		if err := m.checkName(path+".name", l.Name); err != nil {
			return err
		}
		if l.Name == "control" {
			return m.src.at(path+".name", `"control" is the service's own unix socket`, "choose another name")
		}
		if names[l.Name] {
			return m.src.at(path+".name", fmt.Sprintf("the listener %q is there twice", l.Name), "")
		}
		if err := m.checkAddress(path, l); err != nil {
			return err
		}
		if addresses[l.Address] && !anyPort(l.Address) {
			return m.src.at(path+".address", fmt.Sprintf("the address %q is there twice", l.Address), "")
		}
		names[l.Name], addresses[l.Address] = true, true
	}
	return nil
}

func (m *Manifest) checkAddress(path string, l Listen) *ParseError {
	if l.Address == "" {
		return m.src.at(path+".address", path+".address is missing", `write address = "127.0.0.1:8080"`)
	}
	switch l.Network {
	case "unix":
		return nil
	case "", "tcp", "tcp4", "tcp6":
	default:
		return m.src.at(path+".network", fmt.Sprintf("the network %q is not known", l.Network), "known: tcp, tcp4, tcp6, unix")
	}
	host, port, err := net.SplitHostPort(l.Address)
	if err != nil {
		return m.src.at(path+".address", fmt.Sprintf("%q is no address", l.Address), `write it as "127.0.0.1:8080" or ":8080"`)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || port != strconv.FormatUint(n, 10) {
		return m.src.at(path+".address", fmt.Sprintf("%q is no port", port), "a port is a number from 0 to 65535")
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && host != "localhost" {
		return m.src.at(path+".address", fmt.Sprintf("%q is no IP address", host),
			"a listener is opened before names can be looked up")
	}
	return nil
}

// anyPort says whether the kernel chooses the port.
func anyPort(address string) bool {
	_, port, err := net.SplitHostPort(address)
	return err == nil && port == "0"
}

func (m *Manifest) checkUp() *ParseError {
	seen := make(map[string]bool)
	for i, up := range m.Up {
		if err := m.checkRange(fmt.Sprintf("up[%d].from", i), up.From, seen); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manifest) checkDown() *ParseError {
	seen := make(map[string]bool)
	for i, down := range m.Down {
		if err := m.checkRange(fmt.Sprintf("down[%d].to", i), down.To, seen); err != nil {
			return err
		}
	}
	return nil
}

// checkRange checks a range that must be there, and only once.
func (m *Manifest) checkRange(path, text string, seen map[string]bool) *ParseError {
	const form = `write it as "~1.0", "^1.2" or ">= 1.0, < 1.4"`
	switch _, err := parseRange(text); {
	case text == "":
		return m.src.at(path, path+" is missing", form)
	case err != nil:
		return m.src.at(path, fmt.Sprintf("%q is no range of versions", text), form)
	case seen[text]:
		return m.src.at(path, fmt.Sprintf("the range %q is there twice", text), "")
	}
	seen[text] = true
	return nil
}

func (m *Manifest) checkDrop() *ParseError {
	for _, list := range m.drops() {
		for i, name := range list.names {
			if slices.Contains(list.names[:i], name) {
				return m.src.at(fmt.Sprintf("%s[%d]", list.key, i), fmt.Sprintf("the %s %q is there twice", list.what, name), "")
			}
			if name == "" {
				return m.src.at(fmt.Sprintf("%s[%d]", list.key, i), fmt.Sprintf("a %s has a name", list.what), "")
			}
		}
	}
	return nil
}

func (m *Manifest) checkRequires() *ParseError {
	for _, service := range slices.Sorted(maps.Keys(m.Requires)) {
		path := "requires." + service
		if err := m.checkName(path, service); err != nil {
			return err
		}
		if service == m.Name {
			return m.src.at(path, fmt.Sprintf("requires form a cycle: %s -> %s", service, service), "")
		}
		if err := m.checkRange(path, m.Requires[service], map[string]bool{}); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manifest) checkRestart() *ParseError {
	if m.Restart.Intensity < 0 {
		return m.src.at("restart.intensity", "the intensity is negative", "")
	}
	return nil
}

// parseRange reads a range of versions. Prereleases count as what they lead to: ~2.0 holds 2.0.1-bad.
func parseRange(text string) (*semver.Constraints, error) {
	c, err := semver.NewConstraint(text)
	if err != nil {
		return nil, err
	}
	c.IncludePrerelease = true
	return c, nil
}
