package upgrades

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// untouched wants the world as it was: v1 serves, and nothing was taken, switched or journaled.
func untouched(t *testing.T, w *world, d *daemon, records int) {
	t.Helper()
	for _, c := range w.calls {
		for _, word := range []string{"take", "give", "release", "activate", "journal", "shadow", "pair"} {
			if strings.HasPrefix(c, word+" ") {
				t.Errorf("a rehearsal did %q", c)
			}
		}
	}
	if len(w.records) != records || d.e.InProgress() != nil {
		t.Errorf("%d records became %d", records, len(w.records))
	}
	if f := w.faults(d.e); len(f) > 0 {
		t.Errorf("%s\n%s", strings.Join(f, "\n"), w.story())
	}
}

func TestRehearsalAloneChangesNothing(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		records := len(w.records)
		var found []control.Event
		must(t, d.e.Rehearse(t.Context(), control.UpgradeRequest{By: "ada"}, func(ev control.Event) {
			if ev.Kind == "rehearsed" {
				found = append(found, ev)
			}
			if ev.Seq != 0 {
				t.Errorf("%+v is journaled", ev)
			}
		}))
		if len(found) != 1 || found[0].Service != "visits" || found[0].Done != 1_000_000 || found[0].Detail["changed"] != uint64(1_000_000) {
			t.Errorf("%+v", found)
		}
		untouched(t, w, d, records)
		must(t, go2(d))
		w.with(func() { w.calls = nil })
		records = len(w.records)
		must(t, d.e.Rehearse(t.Context(), control.UpgradeRequest{To: "v1"}, nil))
		if !slices.Contains(w.calls, "rehearse down visits 2.0.0") || slices.Contains(w.calls, "start visits 1.0.0") {
			t.Error(w.story())
		}
		untouched(t, w, d, records)
	})
}

func TestRehearsalAloneFindsABadRow(t *testing.T) {
	for _, way := range []string{"rehearse", "start"} {
		story(t, func(t *testing.T, w *world, d *daemon) {
			records := len(w.records)
			want := `row "ada" of table rows`
			w.with(func() { w.badRow["rehearse"] = oddRow })
			if way == "start" {
				want = "does not start"
				w.with(func() { w.broken["2.0.0"] = true })
			}
			var reasons []string
			err := d.e.Rehearse(t.Context(), control.UpgradeRequest{}, func(ev control.Event) { reasons = append(reasons, ev.Reason) })
			wantCode(t, err, "rehearsal", want)
			if !strings.Contains(strings.Join(reasons, " "), want) {
				t.Errorf("%q", reasons)
			}
			untouched(t, w, d, records)
		})
	}
}

func TestRehearsalAloneYields(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		w.with(func() { w.script = on("rehearse visits 2.0.0", hang) })
		ended := make(chan error, 1)
		go func() { ended <- d.e.Rehearse(t.Context(), control.UpgradeRequest{}, nil) }()
		time.Sleep(time.Second)
		wantCode(t, d.e.Rehearse(t.Context(), control.UpgradeRequest{}, nil), "busy", "a rehearsal of v2 is under way")
		w.with(func() { w.script = nil })
		go func() { _ = d.e.Upgrade(context.Background(), control.UpgradeRequest{}, nil) }()
		wantCode(t, <-ended, "busy", "an upgrade begins")
		time.Sleep(time.Second)
		wantCode(t, d.e.Rehearse(t.Context(), control.UpgradeRequest{To: "v1"}, nil), "busy", "is under way")
		must(t, d.e.Wait(t.Context()))
		wantServing(t, w, d, "2.0.0", "permanent")
	})
}

func TestRehearsalAloneEndsWithItsCallerAndWithTheDaemon(t *testing.T) {
	for _, crashed := range []bool{false, true} {
		story(t, func(t *testing.T, w *world, d *daemon) {
			a := hang
			if crashed {
				a = crash
			}
			w.with(func() { w.script = on("rehearse visits 2.0.0", a) })
			ctx, leave := context.WithTimeout(t.Context(), time.Second)
			defer leave()
			records := len(w.records)
			_ = d.do(func(e *Engine) {
				if err := e.Rehearse(ctx, control.UpgradeRequest{}, nil); !errors.Is(err, context.DeadlineExceeded) && !crashed {
					t.Errorf("got %v", err)
				}
			})
			time.Sleep(time.Minute)
			w.with(func() { w.script = nil })
			if !crashed {
				untouched(t, w, d, records)
				return
			}
			d.end()
			d = rest(w)
			defer d.end()
			if f := w.faults(d.e); len(f) > 0 || len(w.records) != records {
				t.Errorf("%v, %d records\n%s", f, len(w.records), w.story())
			}
		})
	}
}
