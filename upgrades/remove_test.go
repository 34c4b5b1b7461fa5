package upgrades

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/release"
)

func remove(t *testing.T, d *daemon, name string) (control.Removed, error) {
	t.Helper()
	return d.e.Remove(t.Context(), control.RemoveRequest{Release: name, By: "ada"})
}

func TestRemove(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		wantCode(t, second(remove(t, d, "v9")), "no_release", "no release v9")
		wantCode(t, second(remove(t, d, "v1")), "in_use", "is what runs now")
		must(t, go2(d))
		wantCode(t, second(remove(t, d, "v2")), "in_use", "is what runs now")
		wantCode(t, second(remove(t, d, "v1")), "in_use", "where a rollback of v2 leads")
		mustBuild(t, d.e, []release.Package{w.pack("visits", "3.0.0", strings.ReplaceAll(upFrom1, "^1", ">= 1, < 3"))})
		must(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{To: "v3"}, nil))

		got, err := remove(t, d, "v1")
		must(t, err)
		if !slices.Equal(got.Packages, []string{"visits 1.0.0"}) { // cache 1.0.0 is in v3 as well
			t.Errorf("%+v", got)
		}
		wantCode(t, second(remove(t, d, "v1")), "no_release", "no release v1")
		wantCode(t, second(d.e.Plan(t.Context(), control.PlanRequest{To: "v1"})), "no_release", "no release v1")
		if list := d.e.Releases(); len(list) != 2 || list[0].Name != "v2" {
			t.Errorf("%+v", list)
		}
		if !d.e.Removed("visits", "1.0.0") || d.e.Removed("cache", "1.0.0") || d.e.Removed("visits", "2.0.0") || d.e.Removed("visits", "7.0.0") {
			t.Error("what was removed is not told from what was not")
		}
		if h := d.e.Since(0); h[len(h)-1].Kind != Removed || h[len(h)-1].By != "ada" || h[len(h)-1].Text != "cache 1.0.0, visits 1.0.0" {
			t.Errorf("%+v", h[len(h)-1])
		}
		d.end()
		d2 := rest(w) // the journal says the same to the next daemon
		defer d2.end()
		if list := d2.e.Releases(); len(list) != 2 || list[0].Name != "v2" {
			t.Errorf("%+v", list)
		}
		if b := mustBuild(t, d2.e, []release.Package{w.pack("visits", "3.1.0", strings.ReplaceAll(upFrom1, "^1", "^3"))}); b.To != "v4" {
			t.Errorf("the number was given again: %+v", b)
		}
		must(t, d2.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
		wantServing(t, w, d2, "2.0.0", "permanent")
	})
}

func TestNothingIsRemovedDuringAnUpgrade(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		mustBuild(t, d.e, []release.Package{w.pack("visits", "1.1.0", upFrom1)})
		go func() { _ = d.e.Upgrade(t.Context(), control.UpgradeRequest{To: "v2"}, nil) }()
		time.Sleep(2 * time.Second)
		for _, name := range []string{"v1", "v2", "v3"} {
			wantCode(t, second(remove(t, d, name)), "busy", "is under way")
		}
		must(t, d.e.Wait(t.Context()))
		wantServing(t, w, d, "2.0.0", "permanent")
	})
}

// A crash at any instant leaves the release or takes it away, and the next daemon leaves no package that nobody needs.
func TestCrashInRemove(t *testing.T) {
	for a, want := range map[act]bool{crash: true, crashAfter: false} { // before and after the record
		story(t, func(t *testing.T, w *world, d *daemon) {
			w.with(func() { w.script = on("journal removed", a) })
			if !d.do(func(e *Engine) { _, _ = e.Remove(t.Context(), control.RemoveRequest{Release: "v2"}) }) {
				t.Fatal("no crash")
			}
			d.end()
			w.with(func() { w.script = nil })
			if _, there := w.store["visits@2.0.0"]; !there {
				t.Error("the package went before the crash")
			}
			d = rest(w)
			defer d.end()
			_, there := w.store["visits@2.0.0"]
			if listed := len(d.e.Releases()) == 2; there != want || listed != want {
				t.Errorf("%s: package %v, listed %v\n%s", a, there, listed, w.story())
			}
			if f := w.faults(d.e); len(f) > 0 {
				t.Error(f)
			}
		})
	}
}

// A package that was removed between its coming in and the build makes no release.
func TestBuildFromAPackageThatWasRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.boot()
		defer d.end()
		p := w.pack("visits", "1.0.0", "")
		must(t, w.Remove(p.Digest))
		if _, err := d.e.Build(t.Context(), []release.Package{p}, "test"); err == nil || !strings.Contains(err.Error(), "visits 1.0.0") {
			t.Errorf("%v", err)
		}
		if len(d.e.Releases()) != 0 {
			t.Error("a release of nothing")
		}
	})
}
