package upgrades

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// The fake's versions hold 64 MiB of their own: a standby needs 16 + 64 + 16 MiB, and 32 MiB stay free.
func TestUpgradeThatDoesNotFitIsRefused(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		w.with(func() { w.memory = 128<<20 - 1 })
		p, err := d.e.Plan(t.Context(), control.PlanRequest{})
		if err != nil || p.Memory != 96<<20 {
			t.Errorf("the plan says %d, %v", p.Memory, err)
		}
		w.calls = nil
		records := len(w.records)
		err = go2(d)
		wantCode(t, err, "memory", "v2 needs about 128.0 MiB of memory")
		if e := new(control.Error); !errors.As(err, &e) || e.Running == "" || !strings.Contains(e.Hint, "memory.max") {
			t.Errorf("%+v", e)
		}
		wantCode(t, d.e.Rehearse(t.Context(), control.UpgradeRequest{}, nil), "memory", "only 128.0 MiB can be had")
		untouched(t, w, d, records)
		w.with(func() { w.memory = 128 << 20 })
		must(t, go2(d))
		wantServing(t, w, d, "2.0.0", "permanent")
	})
}

// The way back is the way out: it is never refused for memory, neither in a probation nor after it.
func TestWayBackIsNotRefusedForMemory(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		go func() {
			time.Sleep(3 * time.Second)
			w.with(func() { w.memory, w.sick["2.0.0"] = 1, true })
		}()
		wantCode(t, go2(d), "rolled_back", "unhealthy")
		w.with(func() { w.memory, w.sick["2.0.0"] = 0, false })
		must(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{To: "v2"}, nil))
		w.with(func() { w.memory = 1 })
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
		wantServing(t, w, d, "1.0.0", "permanent")
	})
}

func TestStartedTellsTheMemoryOfBoth(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		must(t, go2(d))
		i := slices.IndexFunc(d.e.Since(0), func(ev control.Event) bool { return ev.Kind == string(Started) })
		if text := d.e.Since(0)[i].Text; !strings.Contains(text, "(90.0 MiB of memory, 64.0 MiB of its own, beside 90.0 MiB and 64.0 MiB)") {
			t.Error(text)
		}
	})
}
