package sdk

import (
	"errors"
	"fmt"
	"os"
	"regexp"

	"github.com/Masterminds/semver/v3"
)

// Service is one version of a service.
type Service struct {
	Name    string             // lower case letters, digits and dashes
	Version string             // semver, without a leading v
	Setup   func(*Setup) error // says what the service is; called once per process
}

// stamp replaces the Version of a service if the linker sets it (-X), as `reltool dev` does: it makes many versions of
// one source.
var stamp string

// Main runs the service and does not return. Started by the daemon it serves; started by hand it answers
// `--describe` with what the service is, as JSON, and else says how it is meant to be started.
func Main(s Service) {
	if stamp != "" {
		s.Version = stamp
	}
	if err := s.validate(); err != nil {
		fmt.Fprintln(os.Stderr, "sdk:", err)
		os.Exit(2)
	}
	if startedByDaemon() {
		servePlugin(s)
		os.Exit(0)
	}
	os.Exit(s.byHand(os.Args[1:]))
}

var serviceName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

func (s Service) validate() error {
	if !serviceName.MatchString(s.Name) {
		return fmt.Errorf("service name %q: lower case letters, digits and dashes, beginning with a letter", s.Name)
	}
	if _, err := semver.StrictNewVersion(s.Version); err != nil {
		return fmt.Errorf("service %s: version %q: %w", s.Name, s.Version, err)
	}
	if s.Setup == nil {
		return errors.New("service " + s.Name + ": Setup is nil")
	}
	return nil
}

func (s Service) byHand(args []string) int {
	if len(args) == 1 && args[0] == "--describe" {
		return s.printDescription(os.Stdout)
	}
	if len(args) == 1 && args[0] == "--version" {
		fmt.Println(s.Name, s.Version)
		return 0
	}
	fmt.Fprintf(os.Stderr, "%s %s is a service: theseusd starts it, out of a package that `reltool build` makes.\n"+
		"  --describe   what it keeps, serves and answers, as JSON\n  --version    its name and version\n", s.Name, s.Version)
	return 2
}
