package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/release"
)

func (t *tool) buildCommand() *cobra.Command {
	var out, key string
	var remove []string
	c := &cobra.Command{
		Use:   "build [PATH | NAME[@VERSION]]... [--remove NAME]...",
		Short: "Compile services, pack them and make the next release of them",
		Long: `Compiles services and makes the next numbered release of them; nothing that runs is changed.

Sources are folders with an appup.toml: plugins/NAME and plugins/NAME/ANY below the current folder, or those given.
Of each service the highest version is taken that is higher than the running one; NAME@VERSION takes exactly that one,
and only so a pre-release; if nothing is named, a version that is taken with other content is passed over. What a version
changes or takes away it has to cover: see reltool appup. theseus.toml is read again: what it says of listeners,
configuration, restarts and supervisors becomes part of the release, also if no package changes.
With --remove the release is without a service; its rows stay on disk. With --out the packages are only written; no
daemon is needed, and each is compared with the next lower version in the sources.

Every package is signed, with the key of the instance that reltool init has made, or with the one in --key: a secret key
of minisign without a password.`,
		Example: "  reltool build\n  reltool build visits@2.0.1-bad\n  reltool build --remove cache\n" +
			"  reltool build --out dist ./plugins/visits/v2.0.0",
		ValidArgsFunction: func(c *cobra.Command, _ []string, text string) ([]string, cobra.ShellCompDirective) {
			names, _ := t.completeSources(c, nil, text)
			return names, cobra.ShellCompDirectiveDefault // folders too
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := parseWanted(args)
			if err != nil {
				return err
			}
			if out != "" && len(remove) > 0 {
				return &usageError{text: "--out writes packages and --remove makes a release: do one of both"}
			}
			if out != "" {
				return t.packInto(cmd.Context(), w, out, key)
			}
			w.remove = remove
			return t.build(cmd.Context(), w, key)
		},
	}
	c.Flags().StringArrayVar(&remove, "remove", nil, "make the release without this service")
	_ = c.RegisterFlagCompletionFunc("remove", t.completeServices) // fails only for a flag that is not there
	c.Flags().StringVar(&out, "out", "", "write the packages to this folder instead, without a daemon")
	c.Flags().StringVar(&key, "key", "", "sign with the secret key in this file (default: the instance's own)")
	return c
}

// packInto writes packages and prints their paths.
func (t *tool) packInto(ctx context.Context, w wanted, dir, key string) error {
	picked, err := choose(w, nil)
	if err != nil {
		return err
	}
	by, err := t.signer(key)
	if err != nil {
		return err
	}
	if err := t.covered(ctx, w, picked); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	paths, err := t.pack(ctx, picked, dir, by)
	if err != nil {
		return err
	}
	if t.json {
		return t.out.json(map[string][]string{"packages": paths})
	}
	for _, path := range paths {
		fmt.Fprintln(t.out, path)
	}
	return nil
}

var errNoSources = errors.New("there are no sources here")

func choose(w wanted, running map[string]string) ([]source, error) {
	sources, err := findSources(w.paths)
	if err != nil {
		return nil, err
	}
	if len(sources) == 0 {
		return nil, &hinted{
			fmt.Errorf("%w: no plugins/*/%s", errNoSources, manifestName),
			"run it in the checkout, or give folders: reltool build PATH",
		}
	}
	return pick(sources, w, running)
}

// pack compiles one after the other; go build itself uses all processors.
func (t *tool) pack(ctx context.Context, picked []source, dir string, by release.Signer) ([]string, error) {
	var paths []string
	for _, s := range picked {
		t.hint("building " + s.String())
		path, err := pack(ctx, s, dir, by)
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// build makes a release in the running instance.
func (t *tool) build(ctx context.Context, w wanted, key string) error {
	c, err := t.dial()
	if err != nil {
		return err
	}
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	if status.Unsafe != nil {
		return status.Unsafe // before anything is compiled for nothing
	}
	picked, lost := choose(w, versions(status))
	if lost != nil && !errors.Is(lost, errNoSources) {
		return lost
	}
	picked = slices.DeleteFunc(picked, func(s source) bool { return slices.Contains(w.remove, s.manifest.Name) })
	if lost != nil && status.Release == "" {
		return lost
	}
	built, err := t.deliver(ctx, c, picked, key, control.BuildRequest{Remove: w.remove, PassOver: len(w.names)+len(w.paths) == 0})
	same := len(built.Changes)+len(built.Supervision) == 0
	if err == nil && lost != nil && same {
		err = lost // theseus.toml has not changed either
	}
	if err != nil {
		return err
	}
	if same {
		built.Warnings = append(built.Warnings, raisedInCode(w)...)
	}
	return t.showBuilt(built)
}

func versions(s control.Status) map[string]string {
	m := map[string]string{}
	for _, service := range s.Services {
		m[service.Name] = service.Version
	}
	return m
}

// deliver packs into a folder of its own in the instance and has the daemon take it in.
func (t *tool) deliver(ctx context.Context, c *control.Client, picked []source, key string, request control.BuildRequest) (control.Built, error) {
	if len(picked) == 0 {
		return c.Build(ctx, request)
	}
	by, err := t.signer(key)
	if err != nil {
		return control.Built{}, err
	}
	dir, err := incoming(c.Dir())
	if err != nil {
		return control.Built{}, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the daemon has its copy, or has refused it
	if request.Packages, err = t.pack(ctx, picked, dir, by); err != nil {
		return control.Built{}, err
	}
	built, err := c.Build(ctx, request)
	return built, inSources(err, picked)
}

// inSources has an error of the daemon, which knows a manifest by its package, name the file to edit.
func inSources(err error, picked []source) error {
	var no *control.Error
	if !errors.As(err, &no) {
		return err
	}
	for _, s := range picked {
		packed := s.manifest.Name + "-" + s.manifest.Version + "/" + manifestName
		file := filepath.Join(s.dir, manifestName)
		no.Message, no.Hint = strings.ReplaceAll(no.Message, packed, file), strings.ReplaceAll(no.Hint, packed, file)
	}
	return err
}

// incoming makes a new folder in the instance, which the account of the daemon can read also if root makes it.
func incoming(instance string) (dir string, err error) {
	parent := control.Incoming(instance)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", err
	}
	if dir, err = os.MkdirTemp(parent, "build-"); err != nil {
		return "", err
	}
	for _, each := range []string{parent, dir} {
		f, err := os.OpenFile(each, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
		if err != nil {
			return "", err
		}
		if err := errors.Join(ownAs(f, filepath.Dir(parent)), f.Close()); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// showBuilt prints the release and one line per service that changes.
func (t *tool) showBuilt(b control.Built) error {
	for _, w := range b.Warnings {
		t.say("warning: " + w)
	}
	if t.json {
		return t.out.json(b)
	}
	switch {
	case len(b.Changes)+len(b.Supervision) == 0:
		fmt.Fprintf(t.out, "nothing to build: no source here has a higher version than what runs (%s)\n", orNothing(b.To))
		t.hint("to build a change, raise the version in appup.toml and in main.go, or change theseus.toml")
		return nil
	case !b.New:
		fmt.Fprintf(t.out, "release is there already: %s\n", arrow(b.From, b.To))
	default:
		fmt.Fprintf(t.out, "release built: %s\n", arrow(b.From, b.To))
	}
	t.showChanges(b.Changes)
	for _, line := range b.Supervision {
		fmt.Fprintln(t.out, "  "+line)
	}
	t.hint("see what it does: " + t.again("reltool upgrade"))
	return nil
}

func (t *tool) showChanges(changes []control.Change) {
	var tab table
	for _, c := range changes {
		tab.add("", "  "+c.Service+" "+change(c), shorten(first(c.Detail)))
		for _, more := range c.Detail[min(1, len(c.Detail)):] {
			tab.add("", "", shorten(more))
		}
	}
	tab.print(t.out)
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// change says what happens to a service's version.
func change(c control.Change) string {
	switch {
	case c.From == "":
		return c.To + " (new)"
	case c.To == "":
		return c.From + " (goes)"
	case c.To == c.From:
		return c.To
	}
	return arrow(c.From, c.To)
}

func arrow(from, to string) string {
	if from == "" {
		return to
	}
	return from + " -> " + to
}

func orNothing(s string) string {
	if s == "" {
		return "no release"
	}
	return s
}

// shorten turns two shapes, "visits 1 -> 2: {a:string} -> {a:string,b:int64}", into what they differ in,
// "visits 1 -> 2 (+b)". Text that is something else stays as it is.
func shorten(detail string) string {
	head, shapes, ok := strings.Cut(detail, ": ")
	old, next, two := strings.Cut(shapes, " -> ")
	if !ok || head == "" || !two || !isStruct(old) || !isStruct(next) {
		return detail
	}
	var diff []string
	before, after := fields(old), fields(next)
	for _, f := range after {
		if !contains(before, f) {
			diff = append(diff, "+"+fieldName(f))
		}
	}
	for _, f := range before {
		if !contains(after, f) {
			diff = append(diff, "-"+fieldName(f))
		}
	}
	if len(diff) == 0 {
		return head
	}
	return head + " (" + strings.Join(diff, " ") + ")"
}
