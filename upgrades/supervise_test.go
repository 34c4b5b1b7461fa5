package upgrades

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/sdk/supervise"
	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/release"
)

// backend is a tree of one supervisor, of visits and then cache.
func backend(strategy supervise.Strategy) release.Tree {
	t, _ := release.Supervision{Supervisors: map[string]release.Supervisor{"backend": {
		Strategy: strategy, Intensity: 3, Period: appup.Duration(appup.DefaultPeriod), Children: []string{"visits", "cache"},
	}}}.Tree()
	return t
}

// now is what the host was told.
func (w *world) supervised() (tree release.Tree, starts string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	tree, _ = w.tree.Tree()
	return tree, strings.Join(w.starts, " ")
}

func (w *world) wantTree(t *testing.T, want release.Tree) {
	t.Helper()
	if got, _ := w.supervised(); got != want {
		t.Errorf("the host supervises by %q, want %q", got, want)
	}
}

// A change of the tree alone is an upgrade that touches no process, and has its way back.
func TestTreeIsPartOfTheRelease(t *testing.T) {
	harbour(t, func(t *testing.T, w *world, d *daemon) {
		w.wantTree(t, "")
		w.operator.tree = backend(supervise.OneForAll)
		if drift, _, err := d.e.Drift(); err != nil || !slices.Equal(drift, []string{"supervision"}) {
			t.Errorf("drift %v, %v", drift, err)
		}
		b := mustBuild(t, d.e, nil)
		want := []string{"supervisor backend is new: one_for_all, at most 3 restarts within 5s, of visits, cache"}
		if !b.New || len(b.Changes) != 0 || !slices.Equal(b.Supervision, want) {
			t.Fatalf("%+v", b)
		}
		if again := mustBuild(t, d.e, nil); again.New || again.To != b.To {
			t.Errorf("the same is built again: %+v", again)
		}
		p, err := d.e.Plan(t.Context(), control.PlanRequest{})
		must(t, err)
		if text := lines(p); !strings.Contains(text, "supervise supervisor backend is new: ") || !strings.Contains(text, "switch v2 is in charge") {
			t.Error(text)
		}
		calls := len(w.procs)
		must(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{Hold: true, Digest: ""}, nil))
		w.wantTree(t, w.operator.tree)
		if _, starts := w.supervised(); starts != "visits cache" {
			t.Errorf("order %s", starts)
		}
		back, err := d.e.Plan(t.Context(), control.PlanRequest{Rollback: true})
		must(t, err)
		if text := lines(back); !strings.Contains(text, "supervise supervisor backend goes; its children go on") {
			t.Error(text)
		}
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil)) // in its probation
		must(t, d.e.Wait(t.Context()))
		w.wantTree(t, "")

		must(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{To: b.To}, nil))
		must(t, d.e.Wait(t.Context()))
		w.wantTree(t, w.operator.tree)
		d.end()
		*d = *rest(w) // another daemon
		w.wantTree(t, w.operator.tree)
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil)) // after it was permanent
		must(t, d.e.Wait(t.Context()))
		w.wantTree(t, "")
		if len(w.procs) != calls {
			t.Errorf("%d processes were started for a change of the tree", len(w.procs)-calls)
		}
	})
}

// The digest of a plan tells one tree from another.
func TestPlanOfAnotherTreeIsAnotherPlan(t *testing.T) {
	harbour(t, func(t *testing.T, w *world, d *daemon) {
		w.operator.tree = backend(supervise.OneForAll)
		mustBuild(t, d.e, nil)
		p, err := d.e.Plan(t.Context(), control.PlanRequest{})
		must(t, err)
		w.operator.tree = backend(supervise.RestForOne)
		mustBuild(t, d.e, nil)
		wantCode(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{Digest: p.Digest}, nil), "stale_plan", "")
	})
}

// A version that fails takes the tree of its release back with it, and a crash of the daemon at any call leaves the tree of
// the release that serves.
func TestTreeGoesBackWithAFailedVersion(t *testing.T) {
	harbour(t, func(t *testing.T, w *world, d *daemon) {
		w.operator.tree = backend(supervise.OneForAll)
		w.sick["2.0.0"] = true
		mustBuild(t, d.e, []release.Package{w.pack("visits", "2.0.0", upFrom1)})
		if err := d.e.Upgrade(t.Context(), control.UpgradeRequest{}, nil); err == nil {
			t.Fatal("it was not rolled back")
		}
		must(t, d.e.Wait(t.Context()))
		w.wantTree(t, "")
	})
}

func TestCrashDuringAChangeOfTheTree(t *testing.T) {
	for n := range 40 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			first, _ := listening(w)
			d := w.boot()
			mustBuild(t, d.e, first)
			must(t, d.e.Boot(t.Context()))
			w.operator.tree = backend(supervise.RestForOne)
			mustBuild(t, d.e, nil)
			calls := 0
			w.script = func(int, string) act {
				if calls++; calls == n {
					return crashAfter
				}
				return well
			}
			d.do(func(e *Engine) { _ = e.Upgrade(t.Context(), control.UpgradeRequest{}, nil) })
			w.script = nil
			d.end()
			d = rest(w)
			defer func() { d.end() }()
			if f := w.faults(d.e); len(f) > 0 {
				t.Errorf("crash at call %d: %s\n%s", n, strings.Join(f, "\n"), w.story())
			}
		})
	}
}

func TestTreeOutlivesTheRecordOfItsBuild(t *testing.T) {
	r := newRegistry()
	must(t, r.build(record{Event: control.Event{Kind: Built, To: "v1"}, Tree: backend(supervise.OneForAll)}))
	s := r.summary()
	again := newRegistry()
	must(t, again.summed(record{Summary: &s}))
	if got := again.tree("v1"); got != backend(supervise.OneForAll) {
		t.Errorf("the summary of the journal has the tree %q", got)
	}
}

// A boot that reads which release serves, and a rollback that lands in the same moment: the tree of the rollback stays.
func TestTreeThatIsOutOfDateIsNotToldLast(t *testing.T) {
	harbour(t, func(t *testing.T, w *world, d *daemon) {
		w.operator.tree = backend(supervise.OneForAll)
		b := mustBuild(t, d.e, nil)
		serve := func(name string) { d.e.read(func(r *registry) { r.serving = name }) }
		var back sync.WaitGroup
		w.told = func() {
			serve(b.From)
			if d.e.rigged.TryLock() { // nobody keeps the other one from it
				d.e.rigged.Unlock()
				d.e.Supervise()
				return
			}
			back.Go(d.e.Supervise)
		}
		serve(b.To)
		d.e.Supervise()
		back.Wait()
		w.wantTree(t, "")
	})
}

// Whom a service waits for at a boot may never be done.
func TestBootThatWaitsEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	await(ctx, map[string]*booted{"cache": {done: make(chan struct{})}}, []string{"cache"})
}
