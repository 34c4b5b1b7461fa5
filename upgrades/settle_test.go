package upgrades

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// settles counts how often a version was asked to settle.
func (w *world) settles(version string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return count2(w.calls, "settle visits "+version)
}

func wantUnsettled(t *testing.T, w *world, d *daemon, want bool) {
	t.Helper()
	notes := strings.Join(d.e.Notes(), "\n")
	if u := w.unsettled(); len(u) > 0 != want || notes != "" != want {
		t.Errorf("unsettled: %v, and the notes say %q, want %v\n%s", u, notes, want, w.story())
	}
}

// A version that stood still as its probation ended wrote the older shape for ever, and its log was not compacted.
func TestVersionThatStandsStillSettlesLater(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		w.with(func() { w.script = on("settle visits 2.0.0", freeze) })
		must(t, go2(d))
		time.Sleep(time.Minute)
		wantUnsettled(t, w, d, true)
		if notes := d.e.Notes(); len(notes) != 1 || !strings.Contains(notes[0], "visits 2.0.0 goes on as in a probation") {
			t.Errorf("%q", notes)
		}
		w.with(func() { w.script, w.active("visits").frozen = nil, false })
		time.Sleep(settleLast + settleBudget)
		wantUnsettled(t, w, d, false)
		asked := w.settles("2.0.0")
		time.Sleep(time.Hour)
		if n := w.settles("2.0.0"); n != asked {
			t.Errorf("one that has settled is asked again: %d times, then %d", asked, n)
		}
		wantServing(t, w, d, "2.0.0", "permanent")
	})
}

// So does the old version after a rollback.
func TestVersionThatIsBackSettlesLater(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		must(t, d.e.Upgrade(t.Context(), heldRequest, nil))
		w.with(func() { w.script = on("settle visits 1.0.0", fail) })
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
		must(t, d.e.Wait(t.Context()))
		if notes := d.e.Notes(); len(notes) != 1 {
			t.Errorf("%q", notes)
		}
		w.with(func() { w.script = nil })
		time.Sleep(settleLast)
		wantUnsettled(t, w, d, false)
		wantServing(t, w, d, "1.0.0", "rolled_back")
	})
}

// A late settle would part the versions of an upgrade that has begun meanwhile.
func TestNobodyIsAskedToSettleDuringAnUpgrade(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		w.with(func() { w.script = on("settle visits 2.0.0", hang) })
		must(t, go2(d))
		time.Sleep(settleFirst + settleBudget/2)
		asked := w.settles("2.0.0") // the second time, which is under way
		began := time.Now()
		must(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{To: "v1", Hold: true}, nil))
		if took := time.Since(began); took > settleBudget/2 {
			t.Errorf("the upgrade waited for a version that does not settle: %s", took)
		}
		w.with(func() { w.script = nil })
		time.Sleep(time.Hour)
		if n := w.settles("2.0.0"); asked != 2 || n != asked {
			t.Errorf("asked %d times, and %d after an upgrade has begun", asked, n)
		}
		if w.serving("visits").peer == nil {
			t.Error("the versions are parted in the probation")
		}
		must(t, d.e.Commit(t.Context(), control.UpgradeRequest{}, nil))
		must(t, d.e.Wait(t.Context()))
		time.Sleep(settleLast)
		wantUnsettled(t, w, d, false)
		wantServing(t, w, d, "1.0.0", "permanent")
	})
}

// The next daemon settles what the one before could not.
func TestNextDaemonSettlesWhatIsOwed(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		w.with(func() { w.script = on("settle visits 2.0.0", fail) })
		must(t, go2(d))
		d.end()
		next := rest(w)
		defer next.end()
		wantUnsettled(t, w, next, true)
		w.with(func() { w.script = nil })
		time.Sleep(settleLast)
		wantUnsettled(t, w, next, false)
		wantServing(t, w, next, "2.0.0", "permanent")
	})
}

// A version that is gone is not asked, and a closed engine asks nobody.
func TestNobodyAsksAVersionThatIsGone(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		w.with(func() { w.script = on("settle visits 2.0.0", fail) })
		must(t, go2(d))
		p := w.serving("visits")
		w.with(func() { w.kill(p) })
		time.Sleep(settleFirst)
		if notes := d.e.Notes(); len(notes) > 0 {
			t.Errorf("%q", notes)
		}
		d.e.Unsettled(&handle{d, w.serving("visits")}) // as the host says of one that it has started again
		time.Sleep(settleFirst + settleBudget)
		if asked := w.settles("2.0.0"); asked < 2 {
			t.Errorf("asked %d times", asked)
		}
		d.e.Close()
		asked := w.settles("2.0.0")
		time.Sleep(time.Hour)
		if n := w.settles("2.0.0"); n != asked {
			t.Errorf("asked %d times, and %d after the engine was closed", asked, n)
		}
		d.do(func(e *Engine) { e.settle(context.Background(), &handle{d, p}) }) // one that is gone
	})
}
