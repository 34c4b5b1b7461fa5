package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/release"
	"github.com/theseusd/theseus/upgrades/trust"
)

// drafting is one use of reltool appup.
type drafting struct {
	from  string
	write bool
}

func (t *tool) appupCommand() *cobra.Command {
	var d drafting
	c := &cobra.Command{
		Use:   "appup NAME[@VERSION] [--from VERSION] [--write]",
		Short: "Draft what a version's appup.toml and code still need to follow another version",
		Long: `Compares a source with an older version and drafts what is missing: the sections of appup.toml for the way up and down,
the lines that give up tables, verbs and listeners, new listeners, and the Go code of Steps. What only the author can know is
marked "fill in"; a Step that is not filled in fails in the rehearsal, before anything is switched.

The older version is the one of --from, else the one that runs, else the next lower one in the sources, else in the
instance's store. With --write the manifest gets the draft, after a check that it parses; code is only printed.`,
		Example:           "  reltool appup visits\n  reltool appup visits@2.0.0 --from 1.0.0 --write",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeSources,
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := parseWanted(args)
			if err != nil {
				return err
			}
			return t.appup(cmd.Context(), w, d)
		},
	}
	c.Flags().StringVar(&d.from, "from", "", "the older version")
	c.Flags().BoolVar(&d.write, "write", false, "write the draft into appup.toml")
	_ = c.RegisterFlagCompletionFunc("from", t.completeFrom) // the flag is there
	return c
}

func (t *tool) appup(ctx context.Context, w wanted, d drafting) error {
	s, err := theOne(w)
	if err != nil {
		return err
	}
	sources, err := everySource(w)
	if err != nil {
		return err
	}
	older, ok, err := t.older(ctx, sources, s, d.from)
	if err != nil {
		return err
	}
	if !ok {
		return t.nothing(s, "there is no version below it")
	}
	newer, err := examine(ctx, s)
	if err != nil {
		return err
	}
	draft, err := appup.NewDraft(older, newer)
	if err != nil {
		return err
	}
	return t.showDraft(s, draft, d.write)
}

// theOne is the source that the arguments name: the highest if they name no version.
func theOne(w wanted) (source, error) {
	sources, err := findSources(w.paths)
	if err != nil {
		return source{}, err
	}
	picked, err := pickAny(sources, w)
	switch {
	case err != nil:
		return source{}, err
	case len(picked) != 1:
		return source{}, &usageError{text: "one service at a time: reltool appup NAME"}
	}
	return picked[0], nil
}

// pickAny is pick that takes a pre-release where there is nothing else.
func pickAny(sources []source, w wanted) ([]source, error) {
	picked, err := pick(sources, w, nil)
	if err != nil || len(picked) > 0 || len(w.names) != 1 {
		return picked, err
	}
	for name := range w.names {
		sources = slices.DeleteFunc(slices.Clone(sources), func(s source) bool { return s.manifest.Name != name })
	}
	slices.SortFunc(sources, inOrder)
	return sources[len(sources)-1:], nil
}

// older finds the version to compare with; not ok if there is none.
func (t *tool) older(ctx context.Context, sources []source, s source, from string) (v appup.Version, ok bool, err error) {
	stored, serving := t.stored(ctx, s)
	if from == "" && serving != nil && serving.LessThan(s.version) {
		if p, ok := ofVersion(stored, serving); ok {
			return p.Appup(), true, nil
		}
	}
	if from != "" {
		return t.named(ctx, sources, stored, s, from)
	}
	if below, ok := lower(sources, s); ok {
		v, err = examine(ctx, below)
		return v, true, err
	}
	if p, ok := nextLower(stored, s.version); ok {
		return p.Appup(), true, nil
	}
	return v, false, nil
}

// named is the version that --from names, from its source, else from the store.
func (t *tool) named(ctx context.Context, sources []source, stored []release.Package, s source, from string) (v appup.Version, ok bool, err error) {
	version, err := semver.StrictNewVersion(from)
	if err != nil {
		return v, false, &usageError{text: fmt.Sprintf("--from %q is no version", from)}
	}
	if !version.LessThan(s.version) {
		return v, false, &usageError{text: fmt.Sprintf("--from %s is not below %s", from, s)}
	}
	if other, ok := byVersion(sources, s.manifest.Name, version); ok {
		v, err = examine(ctx, other)
		return v, true, err
	}
	if p, ok := ofVersion(stored, version); ok {
		return p.Appup(), true, nil
	}
	return v, false, &hinted{
		fmt.Errorf("%s %s is neither among the sources nor in the store", s.manifest.Name, from),
		"give the folder that has it: reltool appup PATH " + s.manifest.Name,
	}
}

// stored are the packages of the service in the instance's store, and the version that runs, as far as this account can
// tell; an instance is not needed.
func (t *tool) stored(ctx context.Context, s source) (list []release.Package, serving *semver.Version) {
	dir, err := control.Find(t.dir)
	if err != nil {
		return nil, nil
	}
	if c, err := t.dial(); err == nil {
		if status, err := c.Status(ctx); err == nil {
			serving, _ = semver.StrictNewVersion(versions(status)[s.manifest.Name])
		}
	}
	path := filepath.Join(dir, control.Private, "store")
	if _, err := os.Stat(path); err != nil {
		return nil, serving
	}
	store, err := release.OpenStore(path, trust.Of(dir))
	if err != nil {
		return nil, serving
	}
	all, _ := store.List() // a damaged package is no reason not to read the others
	return slices.DeleteFunc(all, func(p release.Package) bool { return p.Name != s.manifest.Name }), serving
}

func ofVersion(list []release.Package, version *semver.Version) (release.Package, bool) {
	for _, p := range slices.Backward(list) {
		if p.Version == version.Original() {
			return p, true
		}
	}
	return release.Package{}, false
}

// nextLower is the highest package below a version that is no pre-release; the list is in order.
func nextLower(list []release.Package, than *semver.Version) (release.Package, bool) {
	for _, p := range slices.Backward(list) {
		if v, err := semver.StrictNewVersion(p.Version); err == nil && v.Prerelease() == "" && v.LessThan(than) {
			return p, true
		}
	}
	return release.Package{}, false
}

func (t *tool) nothing(s source, because string) error {
	if t.json {
		return t.out.json(&appup.Draft{Service: s.manifest.Name, To: s.manifest.Version})
	}
	fmt.Fprintf(t.out, "nothing to draft: %s: %s\n", s, because)
	return nil
}

// completeSources offers the services that there are sources of.
func (t *tool) completeSources(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	sources, err := findSources(nil)
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, s := range sources {
		names = append(names, s.manifest.Name, s.manifest.Name+"@"+s.manifest.Version)
	}
	slices.Sort(names)
	return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
}

// completeFrom offers the versions below the one that is named.
func (t *tool) completeFrom(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	sources, err := findSources(nil)
	if err != nil || len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	name, version, _ := strings.Cut(args[0], "@")
	var list []string
	for _, s := range sources {
		if s.manifest.Name == name && s.manifest.Version != version {
			list = append(list, s.manifest.Version)
		}
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}
