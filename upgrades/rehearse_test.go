package upgrades

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

var oddRow = &RowError{Table: "rows", Key: `"ada"`, Reason: "down to version 1: no room for it"}

// A write that the version before cannot hold was refused: the probation is over, and says which row it was.
func TestRefusedWriteEndsTheProbation(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		began := time.Now()
		go func() {
			time.Sleep(3 * time.Second)
			w.with(func() { w.active("visits").refused = oddRow })
		}()
		err := go2(d)
		wantCode(t, err, "rolled_back", `visits: shadow: a write was refused: row "ada" of table rows: down to version 1`)
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("writes were refused until %s", took)
		}
		if e := new(control.Error); !errors.As(err, &e) || e.Hint == "" || w.lost() > 0 {
			t.Errorf("%+v, connections cut: %d", e, w.lost())
		}
		wantServing(t, w, d, "1.0.0", "rolled_back")
	})
}

// One that was refused in the last instant of a probation counts, also after a crash of the daemon.
func TestRefusedWriteIsSeenAtTheEndAndAfterACrash(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		w.with(func() {
			w.script = func(_ int, call string) act {
				if call == "health visits 2.0.0" {
					w.with(func() { w.active("visits").refused = oddRow })
					return crash
				}
				return well
			}
		})
		_ = d.do(func(e *Engine) { _ = e.Upgrade(context.Background(), control.UpgradeRequest{}, nil) })
		d.end()
		w.with(func() { w.script = nil })
		d = rest(w)
		defer d.end()
		wantServing(t, w, d, "1.0.0", "rolled_back")
	})
}

// On the way down the version that serves rehearses the way before it writes the first older shape.
func TestWayDownIsRehearsed(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		must(t, go2(d))
		w.with(func() {
			w.calls = nil
			w.badRow["rehearse down"] = oddRow
		})
		wantCode(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil), "rehearsal", `visits: rehearse: row "ada" of table rows`)
		if slices.Contains(w.calls, "shadow visits 2.0.0") || slices.Contains(w.calls, "start visits 1.0.0") {
			t.Errorf("it went on\n%s", w.story())
		}
		wantServing(t, w, d, "2.0.0", "aborted")
		w.with(func() { delete(w.badRow, "rehearse down") })
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
		down, shadow := slices.Index(w.calls, "rehearse down visits 2.0.0"), slices.Index(w.calls, "shadow visits 2.0.0")
		if down < 0 || shadow < down {
			t.Error(w.story())
		}
		wantServing(t, w, d, "1.0.0", "permanent")
	})
}

// While the way down is being prepared a row that has none ends it: the version that serves goes on without it.
func TestRefusedWriteEndsTheWayDown(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		must(t, go2(d))
		w.with(func() {
			w.script = on("start visits 1.0.0", hang)
			w.active("visits").refused = oddRow
		})
		wantCode(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil), "aborted", `a write was refused: row "ada"`)
		wantServing(t, w, d, "2.0.0", "aborted")
		if u := w.unsettled(); len(u) > 0 {
			t.Errorf("older shapes are still written: %v", u)
		}
	})
}

// A standby that has no room for what it would be sent is not switched to; the way back asks for no room.
func TestFullDiskKeepsTheOldVersion(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		w.with(func() { w.unready = "no space left for the log" })
		wantCode(t, go2(d), "aborted", "2.0.0 could not write for long: no space left")
		wantServing(t, w, d, "1.0.0", "aborted")
		w.with(func() { w.unready = "" })
		go func() {
			time.Sleep(3 * time.Second)
			w.with(func() { w.unready, w.sick["2.0.0"] = "no space left for the log", true })
		}()
		wantCode(t, go2(d), "no_release", "v2 was aborted: visits: follow: 2.0.0 could not write for long")
		wantCode(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{To: "v2"}, nil), "rolled_back", "unhealthy")
		must(t, d.e.Wait(t.Context()))
		wantServing(t, w, d, "1.0.0", "rolled_back")
	})
}
