package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/release"
)

func (t *tool) devCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "dev DIR",
		Short: "Hot reload: build a service at each save and swap it in, with its state and connections",
		Long: `Watches the source of a service, a folder with main.go and appup.toml, with the packages of the same module that it
imports. Whenever a file is saved the service is built and takes over from the version that runs: its rows and its
connections stay. Rows that change their shape go up and down in a rehearsal first; there is no probation. What does not
compile or cannot take the rows is shown, and the last good version goes on.

Each build is a version of its own, as 2.0.1-dev.3, without a change to your files; only the last two are kept. At the
end, with ^C, the last good version goes on serving, and reltool says how to go back to the release from before.`,
		Example: "  reltool dev plugins/visits/v2.0.0",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.dev(cmd.Context(), args[0])
		},
	}
}

// dev builds at once and then at each save, until ctx ends.
func (t *tool) dev(ctx context.Context, dir string) error {
	c, err := t.dial()
	if err != nil {
		return err
	}
	w := &workshop{tool: t, client: c, dir: dir}
	if err := w.open(ctx); err != nil {
		return err
	}
	saved := make(chan struct{}, 1)
	go w.files.watch(ctx, saved)
	for ctx.Err() == nil {
		if w.try(ctx, saved) {
			continue
		}
		select {
		case <-ctx.Done():
		case <-saved:
		}
	}
	w.leave()
	return nil
}

// workshop is where a service is worked on.
type workshop struct {
	*tool

	client  *control.Client
	dir     string
	name    string // of the service
	by      release.Signer
	files   *files
	home    home   // what ran before
	last    *piece // that was swapped in; nil before the first
	highest uint64
}

// home is the release to go back to.
type home struct {
	release, version string // no version: the service is new
}

// open looks at the source and at what runs.
func (w *workshop) open(ctx context.Context) error {
	s, err := readSource(filepath.Join(w.dir, manifestName))
	if err != nil {
		return err
	}
	w.name = s.manifest.Name
	if w.by, err = w.signer(""); err != nil {
		return err
	}
	if w.home, err = w.findHome(ctx, w.name); err != nil {
		return err
	}
	w.files = &files{dir: w.dir}
	w.files.list(ctx)
	w.note(control.Event{Kind: "watching", Service: s.manifest.Name, Text: w.dir, Reason: w.wayBack()})
	return nil
}

// findHome is the release that serves, or the newest below it that no workshop has made.
func (w *workshop) findHome(ctx context.Context, service string) (h home, err error) {
	s, err := w.client.Status(ctx)
	if err != nil {
		return h, err
	}
	list, err := w.client.Releases(ctx)
	if err != nil {
		return h, err
	}
	for _, r := range list {
		if !ours(r) || h.release == "" {
			h = home{release: r.Name, version: r.Services[service]}
		}
		if r.Name == s.Release {
			break
		}
	}
	return h, nil
}

// superseded is why a build is given up.
var errSuperseded = errors.New("there is a newer save")

// try builds once and swaps, and tells whether a save has come meanwhile. A build is given up then, a swap is not.
func (w *workshop) try(ctx context.Context, saved <-chan struct{}) (again bool) {
	build, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.round(ctx, build)
	}()
	for {
		select {
		case <-saved:
			giveUp(errSuperseded)
			again = true
		case <-done:
			return again
		}
	}
}

// round is one build and its swap. build ends when the build is to be given up, ctx when all is.
func (w *workshop) round(ctx, build context.Context) {
	began := time.Now()
	p, err := w.make(build)
	if err == nil {
		err = w.swap(ctx, build, p)
	}
	switch {
	case build.Err() != nil && err != nil:
		return
	case err != nil:
		w.refused(err)
	default:
		w.swapped(p, time.Since(began))
		w.prune(ctx)
	}
	w.files.list(ctx) // what it imports may have changed
}

// swapped says what runs now.
func (w *workshop) swapped(p *piece, took time.Duration) {
	w.last = p
	w.note(control.Event{
		Kind: "swapped", Service: p.name, To: p.version, From: p.running, Took: took.Seconds(), Pause: p.pause,
		Text: fmt.Sprintf("built %s, packed %s, swapped %s", seconds(p.built.Seconds()), seconds(p.packed.Seconds()),
			seconds(p.swapped.Seconds())),
	})
}

// refused shows what is wrong with the source.
func (w *workshop) refused(err error) {
	e := asError(err)
	w.note(control.Event{Kind: "refused", Text: e.Message, Hint: e.Hint, Error: e, Reason: w.serving()})
}

// serveWait is for the daemon to say what serves.
const serveWait = 2 * time.Second

// serving says what goes on, which may be what another workshop has swapped in.
func (w *workshop) serving() string {
	ctx, stop := context.WithTimeout(context.Background(), serveWait)
	defer stop()
	s, err := w.client.Status(ctx)
	switch version := versions(s)[w.name]; {
	case err != nil:
		return "what serves is not known: " + asError(err).Message
	case version != "":
		return version + " serves on"
	}
	return "nothing has changed"
}

// wayBack says how to undo everything.
func (w *workshop) wayBack() string {
	if w.home.version == "" {
		return ""
	}
	return fmt.Sprintf("back to %s at any time: reltool rollback %s", w.home.version, w.home.release)
}

// leave says what stays.
func (w *workshop) leave() {
	if w.last == nil {
		w.note(control.Event{Kind: "ended", Text: "nothing was swapped in"})
		return
	}
	w.note(control.Event{Kind: "ended", Service: w.last.name, Text: w.last.version + " goes on serving", Reason: w.wayBack()})
}

// note prints one event: a line under the time of day, and below it what is longer.
func (w *workshop) note(e control.Event) {
	e.Time = time.Now().UTC()
	if w.json {
		w.lines([]control.Event{e})
		return
	}
	ink := map[string]ink{"swapped": green, "refused": red, "waiting": yellow}[e.Kind]
	line := w.out.paint(ink, e.Kind)
	switch e.Kind {
	case "swapped":
		line += fmt.Sprintf("  %s %s in %s (%s; pause %s)", e.Service, arrow(e.From, e.To), seconds(e.Took), e.Text, seconds(e.Pause))
	case "refused":
		line += "  " + join("; ", e.Text, e.Reason)
	default:
		line += "  " + join("  ", e.Service, join("; ", e.Text, e.Reason))
	}
	fmt.Fprintf(w.out, "%s  %s\n", e.Time.Local().Format(time.TimeOnly), line)
	if e.Hint != "" {
		fmt.Fprintln(w.out, e.Hint)
	}
}
