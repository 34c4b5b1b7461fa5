package upgrades

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/release"
)

// harbour is a world in which v1 serves: visits, with two listeners, and cache.
func harbour(t *testing.T, tell func(t *testing.T, w *world, d *daemon)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first, _ := listening(w)
		d := w.boot()
		defer func() { d.end() }()
		mustBuild(t, d.e, first)
		must(t, d.e.Boot(t.Context()))
		tell(t, w, d)
		if f := w.faults(d.e); len(f) > 0 {
			t.Errorf("%s\n%s", strings.Join(f, "\n"), w.story())
		}
	})
}

func (w *world) sockets(service string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []string
	for address := range w.ground(service).open {
		list = append(list, strings.TrimPrefix(address, "127.0.0.1:"))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func lines(p control.Plan) string {
	var list []string
	for _, s := range p.Steps {
		list = append(list, s.Name+" "+s.Text)
	}
	return strings.Join(list, "\n")
}

// The plan of a way back called the settings that it leads to new, and named keys as added that went away.
func TestConfigurationIsPartOfTheRelease(t *testing.T) {
	harbour(t, func(t *testing.T, w *world, d *daemon) {
		w.operator.now = map[string]release.Settings{
			"visits": `{"config":{"language":"fr"},"listen":{"http":"127.0.0.1:9"},"restart":{"intensity":9}}`,
		}
		w.operator.warnings = []string{"a warning"}
		if drift, built, err := d.e.Drift(); err != nil || built != "" || len(drift) != 1 {
			t.Errorf("drift %v, built %q, %v", drift, built, err)
		}
		b := mustBuild(t, d.e, nil)
		want := []string{
			"listens on http 127.0.0.1:9", "no longer listens on http 127.0.0.1:1", "config changed: +language",
			"restarted at most 9 times within 5s, was 3 times within 5s",
		}
		if !b.New || len(b.Changes) != 1 || !slices.Equal(b.Changes[0].Detail, want) || !slices.Equal(b.Warnings, w.operator.warnings) {
			t.Fatalf("%+v", b)
		}
		if again := mustBuild(t, d.e, nil); again.New || again.To != b.To {
			t.Errorf("the same is built again: %+v", again)
		}
		if drift, built, err := d.e.Drift(); err != nil || built != b.To || !slices.Equal(drift, []string{"visits"}) {
			t.Errorf("drift %v, %v", drift, err)
		}
		p, err := d.e.Plan(t.Context(), control.PlanRequest{})
		must(t, err)
		for _, line := range []string{
			"listen open http 127.0.0.1:9; closed again", "config 1.0.0 gets the configuration of v2: +language",
			"start start visits 1.0.0 with the settings of v2 as a standby beside 1.0.0 with the settings of v1",
			"supervise restarted at most 9 times", "close close http 127.0.0.1:1",
		} {
			if !strings.Contains(lines(p), line) {
				t.Errorf("the plan has no %q:\n%s", line, lines(p))
			}
		}
		var during string
		var back control.Plan
		must(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{}, func(ev control.Event) {
			if ev.Kind == string(Probation) {
				during = w.sockets("visits")
				back, err = d.e.Plan(t.Context(), control.PlanRequest{Rollback: true})
			}
		}))
		must(t, err)
		must(t, d.e.Wait(t.Context()))
		for _, line := range []string{
			"visits 1.0.0 with the settings of v2 finishes what is in hand", "1.0.0 with the settings of v1, which stands by",
			"config 1.0.0 has the configuration of v1 again: -language", "stop stop visits 1.0.0 with the settings of v2",
		} {
			if !strings.Contains(lines(back), line) {
				t.Errorf("the plan back from the probation has no %q:\n%s", line, lines(back))
			}
		}
		if during != "1 2 9" || w.sockets("visits") != "2 9" {
			t.Errorf("open in the probation: %q, after it: %q", during, w.sockets("visits"))
		}
		if drift, _, err := d.e.Drift(); err != nil || len(drift) > 0 {
			t.Errorf("drift %v, %v", drift, err)
		}
		down, err := d.e.Plan(t.Context(), control.PlanRequest{Rollback: true})
		must(t, err)
		for _, line := range []string{
			"config 1.0.0 gets the configuration of v1: -language",
			"start start visits 1.0.0 with the settings of v1 as a standby beside 1.0.0 with the settings of v2",
		} {
			if !strings.Contains(lines(down), line) {
				t.Errorf("the plan down has no %q:\n%s", line, lines(down))
			}
		}
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
		must(t, d.e.Wait(t.Context()))
		if got := w.active("visits").pkg.Settings; got != release.NoSettings || w.sockets("visits") != "1 2" {
			t.Errorf("back at %s, open %s", got, w.sockets("visits"))
		}
		if w.lost() > 0 {
			t.Error("connections were cut")
		}
	})
}

func TestPortThatIsTaken(t *testing.T) {
	harbour(t, func(t *testing.T, w *world, d *daemon) {
		w.ports = map[string]bool{"127.0.0.1:9": true}
		moved(&w.operator)
		mustBuild(t, d.e, nil)
		w.calls = nil
		err := d.e.Upgrade(t.Context(), control.UpgradeRequest{}, nil)
		wantCode(t, err, "aborted", "visits: listen: listener \"http\" at 127.0.0.1:9: address already in use")
		must(t, d.e.Wait(t.Context()))
		if e := err.(*control.Error); !strings.Contains(e.Hint, "free 127.0.0.1:9, or write another address into theseus.toml") {
			t.Errorf("hint %q", e.Hint)
		}
		if slices.Contains(w.calls, "start visits 1.0.0") || w.sockets("visits") != "1 2" {
			t.Errorf("the old version noticed; open %s", w.sockets("visits"))
		}
	})
}

// A keel that is stopped opens nothing. That is not said to be somebody who has the address.
func TestListenerThatNobodyOpensInTime(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		w.script = on("listen visits 2.0.0", hang)
		err := go2(d)
		wantCode(t, err, "aborted", "visits: listen: listener \"http\" at 127.0.0.1:9: not done within its budget of 10s")
		if e := err.(*control.Error); strings.Contains(e.Hint, "free") {
			t.Errorf("hint %q", e.Hint)
		}
		wantServing(t, w, d, "1.0.0", "aborted")
	})
}

func TestMistakeInTheseusTOMLRefusesTheBuild(t *testing.T) {
	harbour(t, func(t *testing.T, w *world, d *daemon) {
		w.operator.err = &appup.ParseError{File: "theseus.toml", Line: 2, Column: 1, What: "unknown key", Source: "colour = 3"}
		n := len(w.records)
		_, err := d.e.Build(t.Context(), []release.Package{w.pack("visits", "2.0.0", upFrom1)}, "test")
		wantCode(t, err, "bad_config", "theseus.toml:2:1: unknown key\n  2 | colour = 3\n    | ^")
		if len(w.records) != n {
			t.Error("something was journaled")
		}
	})
}

func TestRemovingAService(t *testing.T) {
	harbour(t, func(t *testing.T, w *world, d *daemon) {
		_, err := d.e.Build(t.Context(), nil, "test", "cach")
		wantCode(t, err, "no_release", "there is no service cach to remove")
		_, err = d.e.Build(t.Context(), nil, "test", "cache", "visits")
		wantCode(t, err, "no_release", "no service would be left")
		_, err = d.e.Build(t.Context(), []release.Package{w.store["cache@1.0.0"]}, "test", "cache")
		wantCode(t, err, "bad_package", "is given and is to be removed")
		needs := w.pack("visits", "2.0.0", upFrom1+"[requires]\ncache = \"^1\"\n")
		_, err = d.e.Build(t.Context(), []release.Package{needs}, "test", "cache")
		wantCode(t, err, "requires", "visits requires cache, which is not there")

		b, err := d.e.Build(t.Context(), nil, "test", "cache")
		must(t, err)
		if len(b.Changes) != 1 || b.Changes[0].Service != "cache" || b.Changes[0].From != "1.0.0" || b.Changes[0].To != "" {
			t.Errorf("%+v", b)
		}
		p, err := d.e.Plan(t.Context(), control.PlanRequest{To: b.To})
		must(t, err)
		if !strings.Contains(lines(p), "switch cache 1.0.0 is to go") || !strings.HasSuffix(lines(p), "stop stop cache 1.0.0; its rows stay, for a release that has it again") {
			t.Error(lines(p))
		}
		must(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{}, nil))
		must(t, d.e.Wait(t.Context()))
		if w.active("cache") != nil {
			t.Error("cache serves on")
		}
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
		must(t, d.e.Wait(t.Context()))
		if w.active("cache") == nil {
			t.Error("cache did not come back")
		}
	})
}

// A journal from before there were settings means what theseus.toml said when the daemon started.
func TestReleasesWithoutSettings(t *testing.T) {
	harbour(t, func(t *testing.T, w *world, d *daemon) {
		d.end()
		for i := range w.records {
			w.records[i].Payload = []byte(strings.ReplaceAll(string(w.records[i].Payload), `,"settings":"{}"`, ""))
		}
		for _, p := range w.procs {
			p.pkg.Settings = ""
		}
		w.operator.start = map[string]release.Settings{"visits": `{"listen":{"http":"127.0.0.1:9"}}`}
		w.operator.now = w.operator.start
		*d = *rest(w)
		if got := len(w.procs); got != 2 {
			t.Errorf("%d processes: something was started anew", got)
		}
		if b := mustBuild(t, d.e, nil); b.New || b.To != "v1" {
			t.Errorf("nothing has changed: %+v", b)
		}
		w.operator.now = map[string]release.Settings{"visits": `{"listen":{"http":"127.0.0.1:8"}}`}
		b := mustBuild(t, d.e, nil)
		if want := []string{"listens on http 127.0.0.1:8", "no longer listens on http 127.0.0.1:9"}; !b.New || !slices.Equal(b.Changes[0].Detail, want) {
			t.Errorf("%+v", b)
		}
		must(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{}, nil))
		must(t, d.e.Wait(t.Context()))
	})
}
