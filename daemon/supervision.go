package daemon

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/theseusd/theseus/sdk/supervise"
	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/release"
)

// SupervisorFile is one supervisor in theseus.toml: a child that fails is restarted, and by the strategy others with it.
// More restarts than intensity within period, and it has failed itself. What no supervisor has as a child is under the root.
type SupervisorFile struct {
	Strategy  Strategy       `toml:"strategy"`  // one_for_one if missing
	Intensity *int           `toml:"intensity"` // appup.DefaultIntensity if missing
	Period    appup.Duration `toml:"period"`    // appup.DefaultPeriod if missing
	Restart   Restart        `toml:"restart"`   // permanent if missing
	Children  []string       `toml:"children"`  // services and supervisors, in the order of starting

	AutoShutdown AutoShutdown `toml:"auto_shutdown"` // whether it ends with its significant children; never if missing
	Significant  bool         `toml:"significant"`   // its own end counts for that of the supervisor above it
}

// AutoShutdown is whether a supervisor ends with its significant children.
type AutoShutdown struct{ supervise.AutoShutdown }

// UnmarshalText accepts OTP's words.
func (a *AutoShutdown) UnmarshalText(text []byte) error {
	known := []string{supervise.Never.String(), supervise.AnySignificant.String(), supervise.AllSignificant.String()}
	if !slices.Contains(known, string(text)) {
		return fmt.Errorf("%q is no auto_shutdown; write %s", text, oneOf(string(text), known))
	}
	return a.AutoShutdown.UnmarshalText(text)
}

// Strategy is who is restarted when one child fails.
type Strategy struct{ supervise.Strategy }

// UnmarshalText accepts OTP's words, but for the one of children that come and go.
func (s *Strategy) UnmarshalText(text []byte) error {
	known := []string{supervise.OneForOne.String(), supervise.OneForAll.String(), supervise.RestForOne.String()}
	if !slices.Contains(known, string(text)) {
		return fmt.Errorf("%q is no strategy; write %s", text, oneOf(string(text), known))
	}
	return s.Strategy.UnmarshalText(text)
}

// Restart is whether a child is started again after its end.
type Restart struct{ supervise.Restart }

// UnmarshalText accepts OTP's words.
func (r *Restart) UnmarshalText(text []byte) error {
	known := []string{supervise.Permanent.String(), supervise.Transient.String(), supervise.Temporary.String()}
	if !slices.Contains(known, string(text)) {
		return fmt.Errorf("%q is no way to restart; write %s", text, oneOf(string(text), known))
	}
	return r.Restart.UnmarshalText(text)
}

// oneOf is the word that somebody may have meant, else all there are.
func oneOf(word string, known []string) string {
	if near := appup.Nearest(word, known); near != "" {
		return fmt.Sprintf("%q", near)
	}
	return fmt.Sprintf("one of %q", known)
}

// RestartFile is how a service is restarted.
type RestartFile struct {
	appup.Restart

	Type Restart `toml:"type"`
}

// maxPeriod bounds what is counted for restarts: a longer one can only be a slip.
const maxPeriod = 24 * time.Hour

// supervision is what the file says of it.
func (f *File) supervision() release.Supervision {
	var s release.Supervision
	for name, sup := range f.Supervisor {
		if s.Supervisors == nil {
			s.Supervisors = map[string]release.Supervisor{}
		}
		s.Supervisors[name] = sup.supervisor()
	}
	for name, service := range f.Service {
		m := release.Member{
			Restart: service.Restart.Type.Restart, Shutdown: service.Shutdown, Liveness: service.Liveness, Significant: service.Significant,
		}
		if m == (release.Member{}) {
			continue
		}
		if s.Services == nil {
			s.Services = map[string]release.Member{}
		}
		s.Services[name] = m
	}
	return s
}

func (s SupervisorFile) supervisor() release.Supervisor {
	sup := release.Supervisor{
		Strategy: s.Strategy.Strategy, Intensity: appup.DefaultIntensity, Period: s.Period,
		Restart: s.Restart.Restart, Children: s.Children, AutoShutdown: s.AutoShutdown.AutoShutdown, Significant: s.Significant,
	}
	if s.Intensity != nil {
		sup.Intensity = *s.Intensity
	}
	if sup.Period == 0 {
		sup.Period = appup.Duration(appup.DefaultPeriod)
	}
	return sup
}

// checkTree finds what is wrong with the supervisors whatever the services are.
func (f *File) checkTree() error {
	for _, name := range slices.Sorted(maps.Keys(f.Supervisor)) {
		if err := f.checkSupervisor(name, f.Supervisor[name]); err != nil {
			return err
		}
	}
	s := f.supervision()
	for _, name := range slices.Sorted(maps.Keys(f.Service)) {
		if f.Service[name].Restart.Restart == (appup.Restart{}) {
			continue
		}
		if at := s.Parent(name); at != release.Root {
			return f.at("service."+name+".restart", fmt.Sprintf("restarts of %s are counted by supervisor %s", name, at),
				fmt.Sprintf("write intensity and period into [supervisor.%s]", at))
		}
	}
	return f.inTree(s.Check())
}

func (f *File) checkSupervisor(name string, s SupervisorFile) error {
	path := "supervisor." + name
	switch {
	case !appup.IsName(name):
		return f.at(path, fmt.Sprintf("%q is no name for a supervisor", name), "lower case letters, digits and dashes")
	case s.Intensity != nil && *s.Intensity < 0:
		return f.at(path+".intensity"+value, "the intensity is negative", "0 is none: the first failure is that of the supervisor")
	case s.Period.Std()%time.Second != 0:
		return f.at(path+".period"+value, fmt.Sprintf("a period of %s: it is counted in whole seconds", s.Period), "")
	case s.Period.Std() > maxPeriod:
		return f.at(path+".period"+value, fmt.Sprintf("a period of %s is longer than a day", s.Period), "")
	}
	return nil
}

// hurried lists services that get less time when theseusd stops than the file says. Restarts for the sake of others take as long as
// they may.
func (f *File) hurried() (warnings []string) {
	for _, name := range slices.Sorted(maps.Keys(f.Service)) {
		if d := f.Service[name].Shutdown; d.Std() > shutdownBudget {
			what := fmt.Sprintf("%s has a shutdown of %s, but when theseusd stops all services together have %s", name, d, shutdownBudget)
			warnings = append(warnings, f.at("service."+name+".shutdown"+value, what, "").Short())
		}
	}
	return warnings
}

// inTree has a mistake of the tree point at its line.
func (f *File) inTree(err error) error {
	var wrong *release.TreeError
	if !errors.As(err, &wrong) {
		return err
	}
	return f.at(wrong.Path, wrong.What, wrong.Hint)
}
