package upgrades

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

var heldRequest = control.UpgradeRequest{By: "ada", Hold: true}

// A held probation lasts as long as nobody ends it.
func TestHeldProbationWaitsForCommit(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		p, err := d.e.Plan(t.Context(), control.PlanRequest{Hold: true})
		must(t, err)
		if text := p.Steps[len(p.Steps)-2].Text; !p.Hold || p.Probation != 0 || !strings.Contains(text, "held until reltool commit") {
			t.Errorf("the plan does not say that it holds: %+v", p)
		}
		req := heldRequest
		req.Digest = p.Digest
		must(t, d.e.Upgrade(t.Context(), req, nil))
		time.Sleep(time.Hour)
		u := d.e.InProgress()
		if u == nil || u.Step != "probation" || !u.Held || !u.Until.IsZero() {
			t.Fatalf("it is not held: %+v", u)
		}
		wantCode(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{}, nil), "busy", "held")
		var last control.Event
		must(t, d.e.Commit(t.Context(), control.UpgradeRequest{By: "eve"}, func(ev control.Event) { last = ev }))
		must(t, d.e.Wait(t.Context()))
		if last.Kind != "permanent" || last.By != "eve" || last.Text != "committed by eve" {
			t.Errorf("the last event is %+v", last)
		}
		wantServing(t, w, d, "2.0.0", "permanent")
		wantCode(t, d.e.Commit(t.Context(), control.UpgradeRequest{}, nil), "no_probation", "v2 is permanent")
	})
}

func TestHeldProbationIsRolledBack(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		must(t, d.e.Upgrade(t.Context(), heldRequest, nil))
		time.Sleep(time.Hour)
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{By: "eve"}, nil))
		wantServing(t, w, d, "1.0.0", "rolled_back")
		if w.lost() > 0 {
			t.Error("connections were cut")
		}
		wantCode(t, d.e.Commit(t.Context(), control.UpgradeRequest{}, nil), "no_probation", "v1 is permanent")
	})
}

// Nobody has to be there for a version that fails.
func TestHeldProbationGoesBackByItself(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		must(t, d.e.Upgrade(t.Context(), heldRequest, nil))
		time.Sleep(time.Hour)
		w.with(func() { w.sick["2.0.0"] = true })
		must(t, d.e.Wait(t.Context()))
		wantServing(t, w, d, "1.0.0", "rolled_back")
	})
}

// The journal says that it is held: a daemon that ends does not end the probation, in whatever instant.
func TestHeldProbationSurvivesTheDaemon(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		must(t, d.e.Upgrade(t.Context(), heldRequest, nil))
		for range 3 {
			time.Sleep(time.Minute)
			d.end()
			d = w.boot()
			must(t, d.e.Recover(t.Context()))
			must(t, d.e.Boot(t.Context()))
		}
		defer d.end()
		time.Sleep(time.Minute)
		if u := d.e.InProgress(); u == nil || !u.Held {
			t.Fatalf("it is not held any more: %+v", u)
		}
		must(t, d.e.Commit(t.Context(), control.UpgradeRequest{}, nil))
		must(t, d.e.Wait(t.Context()))
		wantServing(t, w, d, "2.0.0", "permanent")
	})
}

// A crash at any call of an upgrade that is held leads to a held probation or to the old version.
func TestCrashOfAHeldUpgrade(t *testing.T) {
	crashes := 0
	for k := 0; ; k++ {
		var calls int
		synctest.Test(t, func(t *testing.T) {
			w := scenario{before: one("2.0.0", upFrom1)}.set(t)
			d := w.boot()
			must(t, d.e.Boot(t.Context()))
			w.with(func() { w.calls, w.script = nil, at(k, crashAfter) })
			crashed := d.do(func(e *Engine) {
				_ = e.Upgrade(context.Background(), heldRequest, nil)
				time.Sleep(10 * time.Second)
				_ = e.Commit(context.Background(), control.UpgradeRequest{}, nil)
				_ = e.Wait(context.Background())
			})
			time.Sleep(time.Minute)
			d.end()
			w.with(func() { w.script, calls = nil, len(w.calls) })
			d = w.boot()
			defer d.end()
			must(t, d.e.Recover(t.Context()))
			must(t, d.e.Boot(t.Context()))
			time.Sleep(time.Minute)
			if u := d.e.InProgress(); u != nil {
				if !u.Held {
					t.Errorf("crash at call %d: it goes on, but is not held: %+v", k, u)
				}
				must(t, d.e.Commit(t.Context(), control.UpgradeRequest{}, nil))
				must(t, d.e.Wait(t.Context()))
			}
			if f := w.faults(d.e); len(f) > 0 {
				t.Errorf("crash at call %d: %v\n%s", k, f, w.story())
			}
			if crashed {
				crashes++
			}
		})
		if k > calls {
			break
		}
	}
	if crashes < 20 {
		t.Errorf("only %d crashes", crashes)
	}
}

func TestCommitEndsAnyProbation(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		first := make(chan error, 1)
		go func() { first <- d.e.Upgrade(t.Context(), control.UpgradeRequest{}, nil) }()
		time.Sleep(2 * time.Second)
		wantCode(t, d.e.Commit(t.Context(), control.UpgradeRequest{To: "v1"}, nil), "no_probation", "v1 is not in probation, v2 is")
		began := time.Now()
		both := make(chan error, 1)
		go func() { both <- d.e.Commit(t.Context(), control.UpgradeRequest{By: "bob"}, nil) }()
		must(t, d.e.Commit(t.Context(), control.UpgradeRequest{By: "eve"}, nil))
		must(t, <-both)
		must(t, <-first)
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %s", took)
		}
		wantServing(t, w, d, "2.0.0", "permanent")
	})
}

func TestCommitBeforeTheProbation(t *testing.T) {
	for _, call := range []string{"rehearse visits 2.0.0", "activate visits 2.0.0"} {
		story(t, func(t *testing.T, w *world, d *daemon) {
			w.script = on(call, hang)
			first := make(chan error, 1)
			go func() { first <- d.e.Upgrade(t.Context(), control.UpgradeRequest{}, nil) }()
			time.Sleep(500 * time.Millisecond)
			wantCode(t, d.e.Commit(t.Context(), control.UpgradeRequest{}, nil), "busy", "not in probation")
			must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
			if err := <-first; err == nil {
				t.Error("it was done")
			}
			if p := w.serving("visits"); p == nil || p.pkg.Version != "1.0.0" {
				t.Errorf("%+v serves", p)
			}
		})
	}
}

func TestNoProbation(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		p, err := d.e.Plan(t.Context(), control.PlanRequest{NoProbation: true})
		must(t, err)
		for _, s := range p.Steps {
			if s.Name == "probation" {
				t.Errorf("the plan has a probation: %+v", p.Steps)
			}
		}
		if last := p.Steps[len(p.Steps)-1].Text; !strings.Contains(last, "nobody watches") {
			t.Error(last)
		}
		wantCode(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{Digest: p.Digest}, nil), "stale_plan", "no longer")
		w.with(func() { w.calls = nil })
		began := time.Now()
		must(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{Digest: p.Digest, NoProbation: true}, nil))
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("it took %s", took)
		}
		if !slices.Contains(w.kinds(), "probation") {
			t.Error("the state probation was not passed through")
		}
		wantServing(t, w, d, "2.0.0", "permanent")
	})
}

// What a crash of the daemon interrupts is permanent right after its recovery.
func TestNoProbationAfterACrash(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		w.script = on("journal probation", crashAfter)
		d.do(func(e *Engine) {
			_ = e.Upgrade(context.Background(), control.UpgradeRequest{NoProbation: true}, nil)
			_ = e.Wait(context.Background())
		})
		time.Sleep(time.Minute)
		d.end()
		w.with(func() { w.script = nil })
		began := time.Now()
		d = rest(w)
		defer d.end()
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("it took %s", took)
		}
		wantServing(t, w, d, "2.0.0", "permanent")
	})
}

// While the journal does not take the end of a probation the version is watched, also one that had no probation and one
// that somebody has committed.
func TestJournalIsFullAtTheEndOfNoProbation(t *testing.T) {
	for _, req := range []control.UpgradeRequest{{NoProbation: true}, heldRequest} {
		story(t, func(t *testing.T, w *world, d *daemon) {
			w.script = on("journal permanent", fail)
			ended := make(chan error, 1)
			go func() { ended <- d.e.Upgrade(t.Context(), req, nil) }()
			if req.Hold {
				must(t, <-ended)
				go func() { ended <- d.e.Commit(t.Context(), control.UpgradeRequest{}, nil) }()
			}
			time.Sleep(time.Minute)
			w.with(func() {
				if n := count2(w.calls, "health visits 2.0.0"); n < 59 {
					t.Errorf("it was looked at %d times in a minute", n)
				}
				w.sick["2.0.0"] = true
			})
			wantCode(t, <-ended, "rolled_back", "unhealthy")
			wantServing(t, w, d, "1.0.0", "rolled_back")
		})
	}
}

func TestEndsThatCannotBe(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		both := control.UpgradeRequest{Hold: true, NoProbation: true}
		wantCode(t, d.e.Upgrade(t.Context(), both, nil), "bad_request", "held and left out")
		w.store["visits@2.0.0"] = w.pack("visits", "2.0.0", oneWay)
		wantCode(t, d.e.Upgrade(t.Context(), heldRequest, nil), "irreversible", "cannot be held")
		wantCode(t, d.e.Commit(t.Context(), control.UpgradeRequest{}, nil), "no_probation", "v1 is permanent")
	})
}
