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

// step is a version of visits that knows the way to and from the one before.
func step(w *world, version, other, more string) release.Package {
	return w.pack("visits", version, "[[up]]\nfrom = \"~"+other+"\"\nprobation = \"4s\"\n"+more+"[[down]]\nto = \"~"+other+"\"\nprobation = \"2s\"\n")
}

// voyage is a world where visits 1.0.0 serves.
func voyage(t *testing.T, tell func(t *testing.T, w *world, d *daemon)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.boot()
		defer d.end()
		mustBuild(t, d.e, []release.Package{w.pack("visits", "1.0.0", "")})
		must(t, d.e.Boot(t.Context()))
		tell(t, w, d)
		if f := w.faults(d.e); len(f) > 0 {
			t.Errorf("%s\n%s", strings.Join(f, "\n"), w.story())
		}
	})
}

func TestWayThroughVersionsInTheStore(t *testing.T) {
	voyage(t, func(t *testing.T, w *world, d *daemon) {
		mustBuild(t, d.e, []release.Package{step(w, "2.0.0", "1.0", "")})
		b := mustBuild(t, d.e, []release.Package{step(w, "3.0.0", "2.0", "do = \"restart\"\n")})
		if want := "by way of 2.0.0"; !slices.Contains(b.Changes[0].Detail, want) {
			t.Errorf("%+v", b)
		}
		p, err := d.e.Plan(t.Context(), control.PlanRequest{})
		must(t, err)
		if !slices.Equal(p.Paths["visits"], []string{"1.0.0", "2.0.0", "3.0.0"}) || p.Probation != 4 ||
			!strings.Contains(lines(p), "path 1.0.0 -> 2.0.0 -> 3.0.0: 2 appups in one switch") || !strings.Contains(lines(p), "connections are cut") {
			t.Errorf("%+v", p)
		}
		must(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{}, nil))
		must(t, d.e.Wait(t.Context()))
		if slices.Contains(w.calls, "start visits 2.0.0") || count2(w.calls, "journal committed") != 1 {
			t.Error("it was no single switch")
		}
		down, err := d.e.Plan(t.Context(), control.PlanRequest{Rollback: true})
		must(t, err)
		if !down.Down || down.To != "v1" || !slices.Equal(down.Paths["visits"], []string{"3.0.0", "2.0.0", "1.0.0"}) || down.Probation != 2 {
			t.Errorf("%+v", down)
		}
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
		must(t, d.e.Wait(t.Context()))
		if got := w.serving("visits").pkg.Version; got != "1.0.0" {
			t.Errorf("%s serves", got)
		}
	})
}

func TestIrreversibleAnywhereOnTheWay(t *testing.T) {
	voyage(t, func(t *testing.T, w *world, d *daemon) {
		mustBuild(t, d.e, []release.Package{step(w, "2.0.0", "1.0", "irreversible = true\n")})
		mustBuild(t, d.e, []release.Package{step(w, "3.0.0", "2.0", "")})
		if p, err := d.e.Plan(t.Context(), control.PlanRequest{}); err != nil || !p.NoReturn {
			t.Errorf("%+v, %v", p, err)
		}
	})
}

// What cannot go back after its probation is said when it is built and in the plan, unless its manifest says so itself.
func TestNoWayBackIsWarnedOf(t *testing.T) {
	for _, c := range []struct{ name, manifest, want string }{
		{"both ways", upFrom1, ""},
		{"one way by declaration", oneWay, ""},
		{
			"no section down", "[[up]]\nfrom = \"^1\"\n",
			"visits: no way down from 2.0.0 to 1.0.0: the manifest of 2.0.0 has no [[down]] section",
		},
		{
			"a section down to others", "[[up]]\nfrom = \"^1\"\n[[down]]\nto = \"~1.5\"\n",
			"visits: no way down from 2.0.0 to 1.0.0: 2.0.0 knows the way to ~1.5",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			voyage(t, func(t *testing.T, w *world, d *daemon) {
				var want []string
				if c.want != "" {
					want = []string{"after the probation there is no way back: " + c.want + "; what to write: reltool appup visits@2.0.0"}
				}
				b := mustBuild(t, d.e, []release.Package{w.pack("visits", "2.0.0", c.manifest)})
				p, err := d.e.Plan(t.Context(), control.PlanRequest{})
				must(t, err)
				if !slices.Equal(b.Warnings, want) || !slices.Equal(p.Warnings, want) {
					t.Errorf("built %q, planned %q, want %q", b.Warnings, p.Warnings, want)
				}
			})
		})
	}
}

// A package that tells of its predecessors needs none of them in the store.
func TestWayThroughVersionsThatNeverWereHere(t *testing.T) {
	voyage(t, func(t *testing.T, w *world, d *daemon) {
		two := step(w, "2.0.0", "1.0", "")
		three := step(w, "3.0.0", "2.0", "")
		delete(w.store, two.Digest)
		three.Before = []*appup.Manifest{two.Manifest}
		w.store[three.Digest] = three
		mustBuild(t, d.e, []release.Package{three})
		p, err := d.e.Plan(t.Context(), control.PlanRequest{})
		must(t, err)
		if !slices.Equal(p.Paths["visits"], []string{"1.0.0", "2.0.0", "3.0.0"}) {
			t.Errorf("%+v", p)
		}
		must(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{}, nil))
		must(t, d.e.Wait(t.Context()))
	})
}

func TestWayThroughAVersionThatIsGone(t *testing.T) {
	voyage(t, func(t *testing.T, w *world, d *daemon) {
		two := step(w, "2.0.0", "1.0", "")
		mustBuild(t, d.e, []release.Package{two})
		mustBuild(t, d.e, []release.Package{step(w, "3.0.0", "2.0", "")})
		delete(w.store, two.Digest)
		_, err := d.e.Plan(t.Context(), control.PlanRequest{To: "v3"})
		wantCode(t, err, "no_appup", "visits: no way up from 1.0.0 to 3.0.0: 3.0.0 knows the way from ~2.0")
		if e := err.(*control.Error); !strings.HasPrefix(e.Hint, "visits 2.0.0 is no longer in the store, and no package tells of it: build it again, or\n\nwrite") {
			t.Errorf("hint %q", e.Hint)
		}
	})
}

// What runs cannot be told to know the way down: a version never changes.
func TestAdviceForAWayDownCanBeFollowed(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		mustBuild(t, d.e, []release.Package{w.pack("visits", "1.5.0", upFrom1)})
		must(t, go2(d))
		_, err := d.e.Build(t.Context(), []release.Package{w.pack("visits", "0.9.0", "")}, "test")
		wantCode(t, err, "no_appup", "no way down from 1.5.0 to 0.9.0")
		want := "visits 1.5.0 is in a release, and a version never changes: give what is to run a version above 1.5.0"
		if e := err.(*control.Error); e.Hint != want {
			t.Errorf("hint %q", e.Hint)
		}
	})
}
