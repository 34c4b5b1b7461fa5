package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/sdk/describe"
	"github.com/theseusd/theseus/upgrades/appup"
)

// devBy is who a workshop acts as.
const devBy = "reltool dev"

// ours says that a workshop has made the release.
func ours(r control.Release) bool { return strings.HasSuffix(r.By, strconv.Quote(devBy)) }

// piece is one build of the source.
type piece struct {
	source

	name, version string
	running       string // the version that it takes over from; "" if there is none
	describe      describe.Service
	release       string
	pause         float64

	built, packed, swapped time.Duration
}

// make compiles the source under a version of its own and packs it.
func (w *workshop) make(ctx context.Context) (*piece, error) {
	began := time.Now()
	s, err := readSource(filepath.Join(w.dir, manifestName))
	if err != nil {
		return nil, err
	}
	s.loose = true
	p := &piece{source: s, name: s.manifest.Name}
	if err := w.number(ctx, p); err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp("", "reltool-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work) //nolint:errcheck // the system cleans its temporary folder
	binary, self, err := compiled(ctx, s, work, p.version)
	if err != nil {
		return nil, err
	}
	p.built = time.Since(began)
	if err := json.Unmarshal(self, &p.describe); err != nil {
		return nil, err
	}
	return p, w.ship(ctx, p, binary, self)
}

// number finds the version of the next build: above the source's own and above what runs.
func (w *workshop) number(ctx context.Context, p *piece) error {
	s, err := w.client.Status(ctx)
	if err != nil {
		return err
	}
	if s.Unsafe != nil {
		return s.Unsafe
	}
	list, err := w.client.Releases(ctx)
	if err != nil {
		return err
	}
	p.running = versions(s)[p.name]
	var taken []string
	for _, r := range list {
		taken = append(taken, r.Services[p.name])
	}
	p.version, w.highest = nextVersion(p.source.version, p.running, taken, w.highest)
	return nil
}

// nextVersion is a pre-release of the source's version, or of the one after what runs if that is not higher. Its number
// is above that of all others, and above after.
func nextVersion(source *semver.Version, running string, taken []string, after uint64) (string, uint64) {
	core := semver.New(source.Major(), source.Minor(), source.Patch(), "", "")
	if now, err := semver.NewVersion(running); err == nil && !core.GreaterThan(now) {
		next := now.IncPatch() // of a pre-release that is the version itself
		core = &next
	}
	n := after
	for _, t := range taken {
		if v, err := semver.NewVersion(t); err == nil {
			n = max(n, devNumber(v))
		}
	}
	return fmt.Sprintf("%s-dev.%d", core, n+1), n + 1
}

func devNumber(v *semver.Version) uint64 {
	text, dev := strings.CutPrefix(v.Prerelease(), "dev.")
	n, err := strconv.ParseUint(text, 10, 64)
	if !dev || err != nil {
		return 0
	}
	return n
}

// ship writes the package into the instance, with a manifest that leads from what runs and back, and to what ran first.
func (w *workshop) ship(ctx context.Context, p *piece, binary string, self []byte) error {
	began := time.Now()
	var ways []appup.Way
	if p.running != "" {
		ways = append(ways, appup.Way{Other: p.running, Do: w.how(p)})
	}
	if v := w.home.version; v != "" && v != p.running {
		ways = append(ways, appup.Way{Other: v, Do: appup.Update})
	}
	text, err := appup.Restamp(filepath.Join(p.dir, manifestName), p.text, p.version, ways)
	if err != nil {
		return err
	}
	if p.text = text; ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if p.manifest, err = appup.Parse(manifestName, text); err != nil {
		return err
	}
	dir, err := incoming(w.client.Dir())
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the daemon has its copy, or has refused it
	path, err := write(p.source, binary, self, dir, w.by)
	if err != nil {
		return err
	}
	built, err := w.client.Build(ctx, control.BuildRequest{Packages: []string{path}, By: devBy})
	p.release, p.packed = built.To, time.Since(began)
	return err
}

// how is load if no row can have another shape than before: then there is nothing to rehearse.
func (w *workshop) how(p *piece) appup.Do {
	if w.last == nil || w.last.version != p.running || len(w.last.describe.Tables) != len(p.describe.Tables) {
		return appup.Update
	}
	for _, t := range p.describe.Tables {
		if old, ok := w.last.describe.Table(t.Name); !ok || old.Version != t.Version || old.Shape != t.Shape {
			return appup.Update
		}
	}
	return appup.Load
}

// swapTime is how long ^C waits for a swap under way.
const swapTime = time.Minute

// swap lets the piece take over. An upgrade of somebody else ends first, and then the piece is made anew.
func (w *workshop) swap(ctx, build context.Context, p *piece) error {
	began := time.Now()
	see := func(e control.Event) { p.pause = max(p.pause, e.Pause) }
	whole, stop := context.WithTimeout(context.WithoutCancel(ctx), swapTime) // what is begun is seen to its end
	defer stop()
	err := w.client.Upgrade(whole, control.UpgradeRequest{To: p.release, By: devBy, NoProbation: true}, see)
	p.swapped = time.Since(began)
	var no *control.Error
	if errors.As(err, &no) && no.Code == "busy" {
		return w.again(ctx, build, p, no)
	}
	if err != nil {
		w.discard(ctx, p.release)
	}
	return err
}

// waitEvery is how often is asked whether somebody else's upgrade has ended.
const waitEvery = 500 * time.Millisecond

func (w *workshop) again(ctx, build context.Context, p *piece, busy *control.Error) error {
	w.discard(ctx, p.release)
	w.note(control.Event{Kind: "waiting", Service: p.name, Text: busy.Message})
	tick := time.NewTicker(waitEvery)
	defer tick.Stop()
	for {
		s, err := w.client.Status(build)
		if err != nil {
			return err
		}
		if s.Upgrade == nil {
			break
		}
		select {
		case <-build.Done():
			return context.Cause(build)
		case <-tick.C:
		}
	}
	next, err := w.make(build)
	if err != nil {
		return err
	}
	*p = *next
	return w.swap(ctx, build, p)
}

// prune removes what workshops have made, but for what runs, what a rollback leads to and what has the highest number.
func (w *workshop) prune(ctx context.Context) {
	list, err := w.client.Releases(ctx)
	if err != nil {
		return
	}
	for _, r := range list {
		if ours(r) && r.Name != w.last.release {
			w.discard(ctx, r.Name)
		}
	}
}

// discard removes a release, unless something rests upon it.
func (w *workshop) discard(ctx context.Context, name string) {
	if name != "" {
		_, _ = w.client.Remove(ctx, control.RemoveRequest{Release: name, By: devBy}) // it is tried again
	}
}
