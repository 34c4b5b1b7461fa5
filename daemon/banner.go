package daemon

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	api "github.com/theseusd/theseus/sdk/control"
)

// banner tells whoever started the instance where things are and what to try next.
func (d *Daemon) banner() {
	var b strings.Builder
	name, status := d.engine.Current()
	services := d.host.Services()
	switch {
	case len(services) == 0:
		fmt.Fprintf(&b, "\ntheseusd %s in %s runs no service yet: put packages into %s\n", Version, d.paths.Dir, d.paths.Releases)
	case name == "":
		fmt.Fprintf(&b, "\ntheseusd %s in %s, the first release is not up yet\n\n", Version, d.paths.Dir)
		table(&b, services)
	default:
		fmt.Fprintf(&b, "\ntheseusd %s in %s, release %s (%s)\n\n", Version, d.paths.Dir, name, status)
		table(&b, services)
	}
	fmt.Fprintf(&b, "\nIn a second terminal:\n")
	for _, line := range d.environment() {
		fmt.Fprintf(&b, "    %s\n", line)
	}
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	for _, s := range slices.Concat(d.verbs(services), nextSteps) {
		fmt.Fprintf(w, "    %s\t%s\n", s.call, s.short)
	}
	w.Flush()
	fmt.Fprintf(&b, "\n^C stops all.\n\n")
	_, _ = d.cfg.Banner.Write([]byte(b.String())) // nobody may be reading, which is fine
}

// step is something to type.
type step struct{ call, short string }

var nextSteps = []step{
	{"reltool status", "what runs"},
	{"reltool build", "make the next release of what has changed"},
	{"reltool upgrade", "show the plan; with --apply do it"},
	{"reltool rollback", "and back"},
}

func table(b *strings.Builder, services []api.ServiceStatus) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, s := range services {
		var at []string
		for _, name := range slices.Sorted(maps.Keys(s.Listeners)) {
			at = append(at, url(name, s.Listeners[name]))
		}
		state := s.State
		if s.Reason != "" {
			state += ": " + s.Reason
		}
		fmt.Fprintf(w, "    %s\t%s\t%s\t%s\n", s.Name, s.Version, strings.Join(at, ", "), state)
	}
	w.Flush()
}

// url is an address as one would type it.
func url(name, address string) string {
	if name == "http" {
		return "http://" + address
	}
	return name + " " + address
}

// environment is what a second terminal needs to find the programs and the instance.
func (d *Daemon) environment() []string {
	var lines []string
	exe, err := os.Executable()
	if _, lost := exec.LookPath("reltool"); err == nil && lost != nil {
		lines = append(lines, fmt.Sprintf("export PATH=%s:$PATH", filepath.Dir(exe)))
	}
	if found, err := api.Find(""); err != nil || found != d.paths.Dir {
		lines = append(lines, fmt.Sprintf("export %s=%s", api.EnvDir, d.paths.Dir))
	}
	return lines
}

// verbs shows one of each service.
func (d *Daemon) verbs(services []api.ServiceStatus) []step {
	var steps []step
	for _, s := range services {
		for _, in := range d.host.Instances(s.Name) {
			verbs := in.Describe().Verbs
			if len(verbs) == 0 || in.Package().Version != s.Version {
				continue
			}
			call := strings.TrimSpace(s.Command + " " + verbs[0].Name + " " + verbs[0].Args)
			steps = append(steps, step{call, verbs[0].Short})
			break
		}
	}
	return steps
}
