package upgrades

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// parts breaks every pair before a call, once or always.
func (w *world) parts(call string, always bool) script {
	over := false
	return func(_ int, c string) act {
		if c == call && !over {
			over = !always
			w.with(func() {
				for _, p := range w.procs {
					p.peer = nil
				}
			})
		}
		return well
	}
}

// A version whose connections nobody takes keeps them: the upgrade is aborted, and no client notices.
func TestConnectionsThatNobodyTakesStayWhereTheyAre(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		first := w.serving("visits").id
		w.script = w.parts("release visits 1.0.0", true)
		wantCode(t, go2(d), "aborted", "cannot be handed over")
		wantServing(t, w, d, "1.0.0", "aborted")
		if p := w.serving("visits"); p.id != first || w.lost() > 0 {
			t.Errorf("%s serves, %s did; connections were cut %d times\n%s", p.id, first, w.lost(), w.story())
		}
	})
}

// On the way back the two versions are paired once more if they are not any more; connections are cut only if that fails.
func TestWayBackPairsAgainBeforeItCuts(t *testing.T) {
	for name, c := range map[string]struct {
		always bool
		cut    int
	}{"parted once": {false, 0}, "parted again and again": {true, 1}} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world, d *daemon) {
				go func() { _ = d.e.Upgrade(t.Context(), control.UpgradeRequest{}, nil) }()
				time.Sleep(2 * time.Second)
				w.with(func() { w.script = w.parts("release visits 2.0.0", c.always) })
				must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{By: "ada"}, nil))
				synctest.Wait()
				wantServing(t, w, d, "1.0.0", "rolled_back")
				if w.lost() != c.cut {
					t.Errorf("connections were cut %d times, want %d\n%s", w.lost(), c.cut, w.story())
				}
			})
		})
	}
}
