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
	"github.com/theseusd/theseus/sdk/describe"
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
		d.table(&b, services)
	default:
		fmt.Fprintf(&b, "\ntheseusd %s in %s, release %s (%s)\n\n", Version, d.paths.Dir, name, status)
		d.table(&b, services)
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

func (d *Daemon) table(b *strings.Builder, services []api.ServiceStatus) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, s := range services {
		var at []string
		says, _ := d.describe(s)
		for _, name := range slices.Sorted(maps.Keys(s.Listeners)) {
			at = append(at, typed(says, name, s.Listeners[name]))
		}
		state := s.State
		if s.Reason != "" {
			state += ": " + s.Reason
		}
		fmt.Fprintf(w, "    %s\t%s\t%s\t%s\n", s.Name, s.Version, strings.Join(at, ", "), state)
	}
	w.Flush()
}

// typed is an address of a service as one would type it.
func typed(s describe.Service, name, address string) string {
	if slices.Contains(s.Web, name) {
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
		if says, ok := d.describe(s); ok && len(says.Verbs) > 0 {
			v := says.Verbs[0]
			steps = append(steps, step{strings.TrimSpace(s.Command + " " + v.Name + " " + v.Args), v.Short})
		}
	}
	return steps
}

// describe is what the running version of a service says of itself, if one runs.
func (d *Daemon) describe(s api.ServiceStatus) (describe.Service, bool) {
	for _, in := range d.host.Instances(s.Name) {
		if in.Package().Version == s.Version {
			return in.Describe(), true
		}
	}
	return describe.Service{}, false
}
