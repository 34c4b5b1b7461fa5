package upgrades

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/appup"
)

// minuteOf makes a minute of traffic.
func minuteOf(requests, failures uint64, p99 time.Duration) control.Traffic {
	return control.Traffic{Requests: requests, Failures: failures, P99: p99.Seconds()}
}

func TestJudge(t *testing.T) {
	errorsOnly := appup.Gates{}.Limits()
	p99 := func(text appup.P99) appup.Limits { return appup.Gates{ErrorRate: "off", P99: text}.Limits() }
	const ms = time.Millisecond
	for _, tc := range []struct {
		name        string
		l           appup.Limits
		now, before control.Traffic
		want        string
	}{
		{"nothing on", appup.Limits{}, minuteOf(1000, 1000, time.Hour), minuteOf(1000, 0, ms), ""},
		{"all is well", errorsOnly, minuteOf(1000, 50, ms), minuteOf(1000, 0, ms), ""},
		{"no request", errorsOnly, minuteOf(0, 0, 0), minuteOf(1000, 0, ms), ""},
		{"too few requests", errorsOnly, minuteOf(99, 99, ms), minuteOf(1000, 0, ms), ""},
		{
			"more fail", errorsOnly, minuteOf(1000, 125, ms), minuteOf(1000, 2, ms),
			"error rate 12.5% against 0.2% in the minute before (allowed 5% more)",
		},
		{"as many failed before", errorsOnly, minuteOf(1000, 125, ms), minuteOf(1000, 100, ms), ""},
		{
			"idle before", errorsOnly, minuteOf(1000, 51, ms), minuteOf(99, 99, ms),
			"error rate 5.1%, with too few requests in the minute before to compare (allowed 5%)",
		},
		{"idle before, and well", errorsOnly, minuteOf(1000, 50, ms), control.Traffic{}, ""},

		{
			"slower", p99("3x"), minuteOf(1000, 0, 210*ms), minuteOf(1000, 0, 12*ms),
			"p99 210 ms against 12 ms in the minute before (allowed 3x)",
		},
		{"a little slower", p99("3x"), minuteOf(1000, 0, 210*ms), minuteOf(1000, 0, 70*ms), ""},
		{"much slower, but fast", p99("3x"), minuteOf(1000, 0, 50*ms), minuteOf(1000, 0, ms), ""},
		{"slower, too few requests", p99("3x"), minuteOf(99, 0, time.Second), minuteOf(1000, 0, ms), ""},
		{"slow, idle before", p99("3x"), minuteOf(1000, 0, time.Second), minuteOf(99, 0, ms), ""},
		{"slow in any case", p99("250ms"), minuteOf(1000, 0, time.Second), minuteOf(1000, 0, time.Second), "p99 1 s (allowed 250 ms)"},
		{"not slow", p99("250ms"), minuteOf(1000, 0, 250*ms), minuteOf(1000, 0, ms), ""},
		{
			"both", p99("3x, 250ms"), minuteOf(1000, 0, 251*ms), minuteOf(1000, 0, 80*ms),
			"p99 251 ms against 80 ms in the minute before (allowed 3x)",
		},
		{"only three times", p99("3x, 250ms"), minuteOf(1000, 0, 250*ms), minuteOf(1000, 0, 10*ms), ""},
		{"only long", p99("3x, 250ms"), minuteOf(1000, 0, 300*ms), minuteOf(1000, 0, 100*ms), ""},
		{
			"both, idle before", p99("3x, 250ms"), minuteOf(1000, 0, 300*ms), minuteOf(1, 0, ms),
			"p99 300 ms, with too few requests in the minute before to compare (allowed 250 ms)",
		},
	} {
		err := judge(tc.l, tc.now, tc.before)
		if got := errText(err); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// gated is a story whose new version has these gates.
func gated(t *testing.T, gates string, tell func(t *testing.T, w *world, d *daemon)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := scenario{before: one("2.0.0", slowly+"[probation]\n"+gates)}.set(t)
		d := w.boot()
		must(t, d.e.Boot(t.Context()))
		w.traffic["1.0.0"] = minuteOf(6000, 12, 12*time.Millisecond)
		w.calls = nil
		tell(t, w, d)
		d.end()
	})
}

func TestGateBringsTheOldVersionBack(t *testing.T) {
	for gates, want := range map[string]string{
		"":                                   "visits: gate: error rate 50% against 0.2% in the minute before (allowed 5% more)",
		"p99 = \"3x\"\nerror_rate = \"off\"": "visits: gate: p99 210 ms against 12 ms in the minute before (allowed 3x)",
	} {
		gated(t, gates, func(t *testing.T, w *world, d *daemon) {
			go func() {
				time.Sleep(4 * time.Second)
				w.with(func() { w.traffic["2.0.0"] = minuteOf(400, 200, 210*time.Millisecond) })
			}()
			began := time.Now()
			wantCode(t, go2(d), "rolled_back", want)
			if took := time.Since(began); took > 6*time.Second {
				t.Errorf("it took %s", took)
			}
			if w.lost() > 0 {
				t.Error("connections were cut")
			}
			wantServing(t, w, d, "1.0.0", "rolled_back")
		})
	}
}

func TestGatesAreShown(t *testing.T) {
	gated(t, "crashes = 1\np99 = \"3x\"\n", func(t *testing.T, w *world, d *daemon) {
		p, err := d.e.Plan(t.Context(), control.PlanRequest{})
		must(t, err)
		if text := p.Steps[len(p.Steps)-2].Text; !strings.Contains(text, "visits: crashes 1, failed requests +5%, p99 3x") {
			t.Errorf("the plan says %q", text)
		}
		w.traffic["2.0.0"] = minuteOf(300, 3, 30*time.Millisecond)
		first := make(chan error, 1)
		go func() { first <- d.e.Upgrade(t.Context(), control.UpgradeRequest{}, nil) }()
		time.Sleep(5 * time.Second)
		u := d.e.InProgress()
		want := control.Trial{Service: "visits", Version: "2.0.0", Now: w.traffic["2.0.0"], Before: w.traffic["1.0.0"]}
		if u == nil || len(u.Trials) != 1 || u.Trials[0] != want {
			t.Errorf("in progress: %+v, want %+v", u, want)
		}
		must(t, <-first)
		if got := lastEvent(d).Text; got != "visits in the last minute: 300 requests, 1% failed, p99 30 ms" {
			t.Errorf("the history says %q", got)
		}
	})
}

func lastEvent(d *daemon) (ev control.Event) {
	d.e.read(func(r *registry) { ev = r.history[len(r.history)-1] })
	return ev
}

// What the old version was like is in the journal: another daemon goes on comparing with it.
func TestGateAfterTheDaemonDied(t *testing.T) {
	gated(t, "p99 = \"3x\"\n", func(t *testing.T, w *world, d *daemon) {
		must(t, d.e.Upgrade(t.Context(), heldRequest, nil))
		time.Sleep(time.Hour)
		d.end()
		w.traffic["1.0.0"] = control.Traffic{} // a standby for an hour
		w.traffic["2.0.0"] = minuteOf(400, 0, 210*time.Millisecond)
		d = rest(w)
		defer d.end()
		if got := lastEvent(d).Reason; !strings.Contains(got, "p99 210 ms against 12 ms in the minute before (allowed 3x)") {
			t.Errorf("it ended because %q", got)
		}
		wantServing(t, w, d, "1.0.0", "rolled_back")
	})
}

// Without gates in a journal that an earlier daemon wrote there is nothing to judge by.
func TestOldJournalHasNoLimits(t *testing.T) {
	if err := judge(change{}.Limits, minuteOf(1000, 1000, time.Hour), control.Traffic{}); err != nil {
		t.Error(err)
	}
}

func TestCrashesThatAreAllowed(t *testing.T) {
	for crashes, want := range map[int]State{1: Permanent, 2: Permanent, 3: RolledBack} {
		gated(t, "crashes = 2\n", func(t *testing.T, w *world, d *daemon) {
			go func() {
				for range crashes {
					time.Sleep(2 * time.Second)
					w.with(func() { w.kill(w.active("visits")) })
				}
			}()
			err := go2(d)
			if (err == nil) != (want == Permanent) {
				t.Errorf("%d crashes: %v", crashes, err)
			}
			version := map[State]string{Permanent: "2.0.0", RolledBack: "1.0.0"}[want]
			wantServing(t, w, d, version, string(want))
			if n := count2(w.kinds(), Restarted); n != min(crashes, 2) {
				t.Errorf("%d crashes: started again %d times", crashes, n)
			}
		})
	}
}

// One that dies right before the end has to show that it stays up.
func TestCrashAtTheEndOfAProbation(t *testing.T) {
	gated(t, "crashes = 1\n", func(t *testing.T, w *world, d *daemon) {
		go func() {
			time.Sleep(9900 * time.Millisecond)
			w.with(func() { w.kill(w.active("visits")) })
			time.Sleep(500 * time.Millisecond)
			w.with(func() { w.kill(w.active("visits")) })
		}()
		wantCode(t, go2(d), "rolled_back", "visits: serve: 2.0.0: the process is gone (signal: killed)")
		wantServing(t, w, d, "1.0.0", "rolled_back")
	})
}

func TestVersionThatDoesNotStartAgain(t *testing.T) {
	gated(t, "crashes = 5\n", func(t *testing.T, w *world, d *daemon) {
		go func() {
			time.Sleep(3 * time.Second)
			w.with(func() {
				w.broken["2.0.0"] = true
				w.kill(w.active("visits"))
			})
		}()
		wantCode(t, go2(d), "rolled_back", "2.0.0 does not start")
		wantServing(t, w, d, "1.0.0", "rolled_back")
	})
}

// The count outlives the daemon, and so does a version that died while no daemon was there.
func TestCrashesAreCountedOverDaemons(t *testing.T) {
	gated(t, "crashes = 1\n", func(t *testing.T, w *world, d *daemon) {
		must(t, d.e.Upgrade(t.Context(), heldRequest, nil))
		time.Sleep(time.Minute)
		d.end()
		w.with(func() { w.kill(w.active("visits")) })
		d = w.boot()
		defer d.end()
		must(t, d.e.Recover(t.Context()))
		must(t, d.e.Boot(t.Context()))
		time.Sleep(time.Minute)
		if u := d.e.InProgress(); u == nil || !u.Held || len(u.Trials) != 1 || u.Trials[0].Crashes != 1 {
			t.Fatalf("in progress: %+v", u)
		}
		w.with(func() { w.kill(w.active("visits")) })
		must(t, d.e.Wait(context.Background()))
		wantServing(t, w, d, "1.0.0", "rolled_back")
	})
}
