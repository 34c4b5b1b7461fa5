package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/drill"
	"github.com/theseusd/theseus/upgrades/release"
	"github.com/theseusd/theseus/upgrades/trust"
)

// drillFlags are the flags of reltool drill.
type drillFlags struct {
	full     bool
	reps     int
	only     []string
	rows     []int
	upgrades int
	clients  int
	markdown string
}

func (t *tool) drillCommand() *cobra.Command {
	var f drillFlags
	c := &cobra.Command{
		Use:   "drill",
		Short: "Upgrade, roll back and kill under load, and check every row and connection",
		Long: `Starts an instance of its own in a temporary folder, loads it with up to a million rows (four with --full), and
upgrades it, rolls it back and kills its parts under clients that never retry. Prints what they saw. Needs the
checkout, for it builds the services. It ends with 1 if a promise is broken; a time that misses its goal is shown only.

The scenarios are: ` + strings.Join(drill.Scenarios(), ", ") + `.`,
		Example: "  reltool drill\n  reltool drill --full --markdown figures.md\n  reltool drill --only pause --rows 1000,1000000",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return t.drill(cmd.Context(), f) },
	}
	flags := c.Flags()
	flags.BoolVar(&f.full, "full", false, "all sizes, five repetitions: what BENCHMARKS.md shows")
	flags.IntVar(&f.reps, "reps", 0, "upgrades and rollbacks at each size (default 3, with --full 5)")
	flags.IntSliceVar(&f.rows, "rows", nil, "sizes of the state (default 1000,100000,1000000; --full adds 4000000)")
	flags.IntVar(&f.upgrades, "upgrades", 0, "upgrades under open connections (default 20)")
	flags.IntVar(&f.clients, "clients", 0, "clients of the chat (default 1000, with --full 10000)")
	flags.StringSliceVar(&f.only, "only", nil, "run these scenarios only")
	flags.StringVar(&f.markdown, "markdown", "", "also write the figures to this file, as Markdown")
	return c
}

func (t *tool) drill(ctx context.Context, f drillFlags) (err error) {
	if err := f.check(); err != nil {
		return err
	}
	theseusd, err := findTheseusd()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "reltool-drill-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	t.progress("building the services")
	if _, err := trust.Of(dir).Generate(); err != nil {
		return err
	}
	secret, err := trust.Of(dir).Local()
	if err != nil {
		return err
	}
	packages, err := drillPackages(ctx, dir, release.Signer{Key: secret})
	if err != nil {
		return err
	}
	packages.Key = secret.Public()
	o := f.options(theseusd, packages, t.progress)
	if o.Reltool, err = os.Executable(); err != nil {
		return err
	}
	if o.Source, err = drillSource(ctx, dir); err != nil {
		return err
	}
	report, err := drill.Run(ctx, o)
	if report == nil {
		return err
	}
	return errors.Join(err, t.showDrill(report, f.markdown))
}

func (f drillFlags) check() error {
	for _, name := range f.only {
		if !contains(drill.Scenarios(), name) {
			return &usageError{text: fmt.Sprintf("there is no scenario %q, only %s", name, strings.Join(drill.Scenarios(), ", "))}
		}
	}
	if f.clients < 0 || f.clients > 15_000 {
		return &usageError{text: fmt.Sprintf("--clients %d: want up to 15000, each with a descriptor of its own in one process", f.clients)}
	}
	for _, n := range f.rows {
		if n < 1 || n > 9_999_999 {
			return &usageError{text: fmt.Sprintf("--rows %d: want 1 to 9999999 rows", n)}
		}
	}
	return nil
}

func (f drillFlags) options(theseusd string, p drill.Packages, say func(string)) drill.Options {
	o := drill.Options{
		Theseusd: theseusd, Packages: p, Sizes: f.rows, Reps: f.reps, Upgrades: f.upgrades, Clients: f.clients, Only: f.only,
		Quick: !f.full, Say: say,
	}
	if f.full && o.Clients == 0 {
		o.Clients = 10_000
	}
	if f.full && len(o.Sizes) == 0 {
		o.Sizes = []int{1000, 100_000, 1_000_000, 4_000_000}
	}
	if !f.full && o.Reps == 0 {
		o.Reps = 3
	}
	return o
}

// progress tells on stderr what goes on.
func (t *tool) progress(text string) {
	fmt.Fprintln(t.err, t.out.paint(dim, time.Now().Format(time.TimeOnly)+"  "+text))
}

// findTheseusd looks beside this program, and then in the PATH.
func findTheseusd() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "theseusd")
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	path, err := exec.LookPath("theseusd")
	if err != nil {
		return "", &hinted{err, "build it: make build"}
	}
	return path, nil
}

func (t *tool) showDrill(r *drill.Report, markdown string) error {
	if markdown != "" {
		var b strings.Builder
		r.WriteMarkdown(&b)
		if err := os.WriteFile(markdown, []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	if t.json {
		if err := r.WriteJSON(t.out); err != nil {
			return err
		}
	} else {
		r.WriteText(t.out)
	}
	if n := len(r.Broken()); n > 0 {
		return fmt.Errorf("%d promises are broken, the first: %s", n, r.Broken()[0])
	}
	return nil
}

// drillPackages builds the services of the checkout with manifests for a drill.
func drillPackages(ctx context.Context, dir string, by release.Signer) (p drill.Packages, err error) {
	sources, err := findSources(nil)
	if err != nil {
		return p, err
	}
	if err := processPackages(ctx, dir, by, &p); err != nil {
		return p, err
	}
	byName := map[string]source{}
	for _, s := range sources {
		byName[s.String()] = s
	}
	for _, want := range []struct {
		name  string
		hurry bool
		path  *string
	}{
		{"visits 1.0.0", true, &p.Visits1},
		{"visits 2.0.0", true, &p.Visits2},
		{"visits 2.0.1-bad", false, &p.VisitsBad},
		{"cache 1.1.0", true, &p.Cache1},
		{"chat 1.0.0", true, &p.Chat1},
	} {
		s, ok := byName[want.name]
		if !ok {
			return p, &hinted{fmt.Errorf("there is no source of %s here", want.name), "run it in the checkout"}
		}
		if *want.path, err = drillPackage(ctx, s, dir, want.hurry, by); err != nil {
			return p, err
		}
	}
	if p.Cache2, err = second(ctx, byName["cache 1.1.0"], dir, by); err == nil {
		p.Chat2, err = second(ctx, byName["chat 1.0.0"], dir, by)
	}
	return p, err
}

// processPackages builds the visits that have a process for each user; their packages have names that are taken.
func processPackages(ctx context.Context, dir string, by release.Signer, p *drill.Packages) error {
	dir = filepath.Join(dir, "processes")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	sources, err := findSources([]string{filepath.Join("upgrades", "drill", "processes")})
	if err != nil {
		return &hinted{err, "run it in the checkout"}
	}
	for _, s := range sources {
		path := &p.Processes1
		if s.manifest.Version == "2.0.0" {
			path = &p.Processes2
		}
		if *path, err = drillPackage(ctx, s, dir, true, by); err != nil {
			return err
		}
	}
	return nil
}

func drillPackage(ctx context.Context, s source, dir string, hurry bool, by release.Signer) (string, error) {
	if hurry {
		s.text = drill.Manifest(s.text)
	}
	return pack(ctx, s, dir, by)
}

const secondWays = `
[[up]]
from      = "%[1]s"
do        = "load"
probation = "1s"
[[down]]
to        = "%[1]s"
do        = "load"
probation = "1s"
`

// second builds a service with the next patch version in its source, by an overlay: the checkout stays as it is.
func second(ctx context.Context, s source, dir string, by release.Signer) (string, error) {
	v, err := semver.StrictNewVersion(s.manifest.Version)
	if err != nil {
		return "", err
	}
	other := func(text []byte) []byte {
		return []byte(strings.Replace(string(text), `"`+v.String()+`"`, `"`+v.IncPatch().String()+`"`, 1))
	}
	main, err := filepath.Abs(filepath.Join(s.dir, "main.go"))
	if err != nil {
		return "", err
	}
	overlay, err := writeOverlay(dir, main, other)
	if err != nil {
		return "", err
	}
	s.text = append(other(s.text), fmt.Sprintf(secondWays, v)...)
	if s.manifest, err = appup.Parse("the drill's "+manifestName, s.text); err != nil {
		return "", err
	}
	before := os.Getenv("GOFLAGS")
	defer os.Setenv("GOFLAGS", before) //nolint:errcheck // the name is a good one
	if err := os.Setenv("GOFLAGS", strings.TrimSpace(before+" '-overlay="+overlay+"'")); err != nil {
		return "", err
	}
	return drillPackage(ctx, s, dir, true, by)
}

// writeOverlay writes an overlay for go build that edits one file.
func writeOverlay(dir, file string, edit func([]byte) []byte) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	edited, overlay := filepath.Join(dir, "edited.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {file: edited}})
	if err != nil {
		return "", err
	}
	return overlay, errors.Join(os.WriteFile(edited, edit(text), 0o600), os.WriteFile(overlay, list, 0o600))
}
