package upgrades

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/journal"
	"github.com/theseusd/theseus/upgrades/release"
)

// story is a world with a daemon on it: v1 serves, v2 is built.
func story(t *testing.T, tell func(t *testing.T, w *world, d *daemon)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := scenario{before: one("2.0.0", slowly)}.set(t)
		d := w.boot()
		defer d.end()
		must(t, d.e.Boot(t.Context()))
		w.calls = nil
		tell(t, w, d)
	})
}

// on scripts what one kind of call does, from now on, always.
func on(call string, a act) script {
	return func(_ int, c string) act {
		if c == call {
			return a
		}
		return well
	}
}

// go2 runs the upgrade to its end.
func go2(d *daemon) error {
	err := d.e.Upgrade(context.Background(), control.UpgradeRequest{By: "ada"}, nil)
	_ = d.e.Wait(context.Background())
	return err
}

func wantServing(t *testing.T, w *world, d *daemon, version, end string) {
	t.Helper()
	if p := w.active("visits"); p == nil || p.pkg.Version != version {
		t.Errorf("%s should serve, %v does\n%s", version, p, w.story())
	}
	if got := w.last(); got != end {
		t.Errorf("the end is %s, want %s\n%s", got, end, w.story())
	}
	if f := w.faults(d.e); len(f) > 0 {
		t.Errorf("%s\n%s", strings.Join(f, "\n"), w.story())
	}
}

func TestOldVersionStaysBusy(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		w.script = on("release visits 1.0.0", busy)
		began := time.Now()
		wantCode(t, go2(d), "aborted", "let go")
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it tried for %s", took)
		}
		if n := count2(w.calls, "release visits 1.0.0"); n < 3 {
			t.Errorf("it tried %d times", n)
		}
		if slices.Contains(w.calls, "activate visits 1.0.0") || w.lost() > 0 {
			t.Error("the old version noticed")
		}
		wantServing(t, w, d, "1.0.0", "aborted")
	})
}

func TestStandbyNeverCatchesUp(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		w.script = func(_ int, c string) act {
			if c == "status visits 2.0.0" {
				for _, p := range w.procs {
					p.lag = 1 << 30
				}
			}
			return well
		}
		began := time.Now()
		wantCode(t, go2(d), "aborted", "bytes behind")
		if took := time.Since(began); took < time.Minute || took > 2*time.Minute {
			t.Errorf("it took %s", took)
		}
		wantServing(t, w, d, "1.0.0", "aborted")
	})
}

// Where there is no way back the disk has the commit before the new version writes.
func TestPowerFailsBeforeTheDiskHasTheCommit(t *testing.T) {
	for _, manifest := range []string{upFrom1, oneWay} {
		synctest.Test(t, func(t *testing.T) {
			s := scenario{before: one("2.0.0", manifest)}
			w := s.set(t)
			d, _, _ := s.play(w, func(_ int, c string) act {
				switch c {
				case "journal sync":
					return hang
				case "activate visits 2.0.0":
					return crashAfter
				}
				return well
			})
			d.end()
			w.powerFails()
			d = rest(w)
			defer d.end()
			if f := w.faults(d.e); len(f) > 0 {
				t.Errorf("%s\n%s", strings.Join(f, "\n"), w.story())
			}
		})
	}
}

func TestNewVersionDiesWhileTheDaemonIsAway(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		go func() { _ = d.e.Upgrade(t.Context(), control.UpgradeRequest{}, nil) }()
		time.Sleep(3 * time.Second)
		d.end()
		w.with(func() { w.kill(w.active("visits")) })
		w.calls = nil
		d = rest(w)
		defer d.end()
		if slices.Contains(w.calls, "start visits 2.0.0") || slices.Contains(w.calls, "start visits 1.0.0") {
			t.Error("the standby was not used")
		}
		wantServing(t, w, d, "1.0.0", "rolled_back")
	})
}

// Closing the engine in the middle of a switch leaves every process as it is.
func TestCloseInTheMiddle(t *testing.T) {
	for _, call := range []string{
		"start visits 2.0.0", "rehearse visits 2.0.0", "release visits 1.0.0", "activate visits 2.0.0", "health visits 2.0.0",
	} {
		story(t, func(t *testing.T, w *world, d *daemon) {
			w.with(func() { w.script = on(call, hang) })
			ended := make(chan error, 1)
			go func() { ended <- d.e.Upgrade(t.Context(), control.UpgradeRequest{}, nil) }()
			time.Sleep(500 * time.Millisecond)
			living := w.living()
			d.e.Close()
			if err := <-ended; !errors.Is(err, ErrClosed) {
				t.Errorf("%s: the upgrade ended with %v", call, err)
			}
			if !slices.Equal(living, w.living()) {
				t.Errorf("%s: %v became %v", call, living, w.living())
			}
			w.with(func() { w.script = nil })
			d = rest(w)
			defer d.end()
			if f := w.faults(d.e); len(f) > 0 || w.lost() > 0 {
				t.Errorf("%s: %v, connections were cut %d times\n%s", call, f, w.lost(), w.story())
			}
		})
	}
}

func TestRehearsalFindsABadRow(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		w.script = on("rehearse visits 2.0.0", fail)
		err := go2(d)
		wantCode(t, err, "rehearsal", "scripted failure")
		if e := new(control.Error); !errors.As(err, &e) || e.Running != "v1: cache 1.0.0, visits 1.0.0" {
			t.Errorf("running: %q", e.Running)
		}
		if slices.Contains(w.calls, "release visits 1.0.0") {
			t.Error("the old version noticed")
		}
		wantServing(t, w, d, "1.0.0", "aborted")
	})
}

func TestOldVersionDiesBeforeTheCommit(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		w.script = func(n int, c string) act {
			if c == "rehearse visits 2.0.0" {
				w.with(func() { w.kill(w.active("visits")) })
				return hang
			}
			return well
		}
		wantCode(t, go2(d), "aborted", "1.0.0")
		wantServing(t, w, d, "1.0.0", "aborted")
	})
}

func TestOldVersionIsDeadWhenTheNewOneDies(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		go func() {
			time.Sleep(3 * time.Second)
			w.with(func() { w.kill(w.standby("1.0.0")) })
			time.Sleep(time.Second)
			w.with(func() { w.kill(w.active("visits")) })
		}()
		wantCode(t, go2(d), "rolled_back", "2.0.0")
		wantServing(t, w, d, "1.0.0", "rolled_back")
	})
}

func (w *world) standby(version string) *proc {
	for _, p := range w.procs {
		if p.pkg.Version == version && !p.dead() && p.role == Standby {
			return p
		}
	}
	w.t.Fatalf("no standby of %s", version)
	return nil
}

// A rollback that cannot be is none: the new version, sick or not, goes on.
func TestNoWayBack(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		go func() {
			time.Sleep(3 * time.Second)
			w.with(func() {
				w.broken["1.0.0"] = true
				w.kill(w.standby("1.0.0"))
			})
			time.Sleep(time.Second)
			w.with(func() { w.sick["2.0.0"] = true })
		}()
		wantCode(t, go2(d), "internal", "v2 stays")
		if w.lost() > 0 {
			t.Error("connections were cut")
		}
		wantServing(t, w, d, "2.0.0", "permanent")
	})
}

func TestJournalIsFullAtTheEnd(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		began := time.Now()
		w.script = func(_ int, c string) act {
			if c == "journal permanent" && time.Since(began) < time.Minute {
				return fail
			}
			return well
		}
		must(t, go2(d))
		if took := time.Since(began); took < time.Minute {
			t.Errorf("permanent after %s", took)
		}
		wantServing(t, w, d, "2.0.0", "permanent")
	})
}

// What was abandoned is not where a rollback leads.
func TestRollbackLeadsToTheReleaseThatServedBefore(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		must(t, go2(d))
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
		b := mustBuild(t, d.e, []release.Package{w.pack("visits", "3.0.0", upFrom1)})
		must(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{To: b.To}, nil))
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
		if name, _ := d.e.Current(); name != "v1" {
			t.Errorf("%s led back to %s, not to v1", b.To, name)
		}
	})
}

// A release that was rolled back because it failed is tried again only by its name.
func TestFailedReleaseIsNotChosen(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		w.sick["2.0.0"] = true
		wantCode(t, go2(d), "rolled_back", "unhealthy")
		wantCode(t, second(d.e.Plan(t.Context(), control.PlanRequest{})), "no_release", "v2 was rolled back")
		if list := d.e.Releases(); !strings.Contains(list[1].Failed, "unhealthy") {
			t.Errorf("%+v", list)
		}
		wantCode(t, d.e.Rollback(t.Context(), control.UpgradeRequest{To: "v2"}, nil), "no_release", "above")
		w.sick["2.0.0"] = false
		must(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{To: "v2"}, nil))
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
		p, err := d.e.Plan(t.Context(), control.PlanRequest{})
		if err != nil || p.To != "v2" || d.e.Releases()[1].Failed != "" {
			t.Errorf("one that did well since is chosen again: %+v, %v", p, err)
		}
	})
}

// The newest release has failed: one that it was made to replace is not taken in its place.
func TestNothingOlderIsTakenForAReleaseThatFailed(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		mustBuild(t, d.e, []release.Package{w.pack("visits", "2.1.0", upFrom1)})
		w.badRow["rehearse"] = &RowError{Table: "rows", Key: "ada", Reason: "up: no"}
		wantCode(t, go2(d), "rehearsal", "ada")
		list := d.e.Releases()
		if v3 := list[2]; !v3.Aborted || !strings.Contains(v3.Failed, "ada") || list[1].Failed != "" {
			t.Errorf("%+v", list)
		}
		wantCode(t, go2(d), "no_release", "v3 was aborted: ")
		if now, _ := d.e.Current(); now != "v1" {
			t.Errorf("%s serves", now)
		}
		delete(w.badRow, "rehearse")
		b := mustBuild(t, d.e, []release.Package{w.store["visits@2.1.0"]}) // whoever builds it again wants it
		if p, err := d.e.Plan(t.Context(), control.PlanRequest{}); err != nil || !b.New || p.To != b.To {
			t.Errorf("%+v: %+v, %v", b, p, err)
		}
	})
}

// A set that exists only below what serves is built all the same: an upgrade leads there.
func TestASetFromBeforeGetsANewNumber(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		must(t, go2(d))
		one := w.store["visits@1.0.0"]
		mustBuild(t, d.e, []release.Package{w.pack("extra", "1.0.0", "")})
		must(t, go2(d))
		b, err := d.e.Build(t.Context(), nil, "test", "extra") // what v2 was
		if err != nil || !b.New || b.To != "v4" {
			t.Fatalf("%+v, %v", b, err)
		}
		if again, err := d.e.Build(t.Context(), nil, "test", "extra"); err != nil || again.New || again.To != "v4" {
			t.Errorf("%+v, %v", again, err)
		}
		must(t, go2(d))
		if now, _ := d.e.Current(); now != "v4" {
			t.Errorf("%s serves", now)
		}
		if b := mustBuild(t, d.e, []release.Package{one}); !b.New || b.To != "v5" {
			t.Errorf("%+v", b)
		}
	})
}

// What the journal refuses is not lost: it is written before the next record.
func TestJournalIsFullOnTheWayBack(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		w.sick["2.0.0"] = true
		full := true
		w.script = func(_ int, c string) act {
			if full && (c == "journal rolling_back" || c == "journal rolled_back") {
				return fail
			}
			return well
		}
		wantCode(t, go2(d), "rolled_back", "unhealthy")
		if got := w.last(); got != string(Probation) {
			t.Fatalf("the journal ends in %s", got)
		}
		full, w.sick["2.0.0"] = false, false
		must(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{To: "v2"}, nil))
		wantServing(t, w, d, "2.0.0", "permanent")
	})
}

func TestServiceThatDoesNotServe(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		w.with(func() {
			w.ground("visits").given = nil // the host has given up
			w.kill(w.active("visits"))
		})
		must(t, go2(d))
		wantServing(t, w, d, "2.0.0", "permanent")
	})
}

func TestOneAtATime(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() { left <- d.e.Upgrade(ctx, control.UpgradeRequest{}, nil) }()
		time.Sleep(2 * time.Second)
		wantCode(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{}, nil), "busy", "probation")
		if u := d.e.InProgress(); u == nil || u.To != "v2" || time.Until(u.Until) > 10*time.Second {
			t.Errorf("in progress: %+v", u)
		}
		if name, status := d.e.Current(); name != "v2" || status != "current" {
			t.Errorf("%s is %s", name, status)
		}
		_, held := d.e.Hold(t.Context())
		wantCode(t, held, "busy", "probation")
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("the caller that left got %v", err)
		}
		must(t, d.e.Wait(t.Context()))
		wantServing(t, w, d, "2.0.0", "permanent")
	})
}

// While it is held nobody else has the engine; afterwards it goes on.
func TestHeldEngineBeginsNothing(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		release, err := d.e.Hold(t.Context())
		must(t, err)
		_, again := d.e.Hold(t.Context())
		wantCode(t, again, "busy", "still being brought up")
		release()
		must(t, go2(d))
		wantServing(t, w, d, "2.0.0", "permanent")
	})
}

func TestRollback(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		first := make(chan error, 1)
		go func() { first <- d.e.Upgrade(t.Context(), control.UpgradeRequest{}, nil) }()
		time.Sleep(2 * time.Second)
		began := time.Now()
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{By: "eve"}, nil))
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("on probation a rollback took %s", took)
		}
		wantCode(t, <-first, "rolled_back", "eve asked")
		wantServing(t, w, d, "1.0.0", "rolled_back")

		must(t, go2(d)) // again, to the end
		var kinds []string
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{By: "eve"}, func(ev control.Event) {
			if ev.Seq > 0 {
				kinds = append(kinds, ev.Kind)
			}
		}))
		want := "planned verified started rehearsed following switching committed probation permanent"
		if got := strings.Join(kinds, " "); got != want {
			t.Errorf("events %q, want %q", got, want)
		}
		wantServing(t, w, d, "1.0.0", "permanent")
		wantCode(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil), "no_release", "before v1")

		must(t, go2(d)) // v2 is an old release now, and still the newest
		wantServing(t, w, d, "2.0.0", "permanent")
		if w.lost() > 0 {
			t.Error("connections were cut")
		}
	})
}

func TestRollbackBeforeTheCommit(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		w.script = on("rehearse visits 2.0.0", hang)
		first := make(chan error, 1)
		go func() { first <- d.e.Upgrade(t.Context(), control.UpgradeRequest{}, nil) }()
		time.Sleep(time.Second)
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
		wantCode(t, <-first, "aborted", "asked for")
		wantServing(t, w, d, "1.0.0", "aborted")
	})
}

func TestPlan(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		p, err := d.e.Plan(t.Context(), control.PlanRequest{})
		must(t, err)
		var names []string
		for _, s := range p.Steps {
			name := s.Name
			if s.Commit {
				name += "!"
			}
			names = append(names, name)
		}
		if got := strings.Join(names, " "); got != "verify start rehearse follow switch! probation make_permanent" {
			t.Error(got)
		}
		if p.Rows != 1_000_000 || p.Estimate != 2 || p.Probation != 10 || p.Down || p.NoReturn || p.From != "v1" || p.To != "v2" {
			t.Errorf("%+v", p)
		}
		if !strings.Contains(p.Steps[2].Text, "1,000,000 rows") || !strings.Contains(p.Steps[2].Text, "rows 1 -> 2") {
			t.Error(p.Steps[2].Text)
		}
		if len(w.records) != 3 || len(w.procs) != 2 {
			t.Error("a plan changed something")
		}
		again, _ := d.e.Plan(t.Context(), control.PlanRequest{To: "v2"})
		if again.Digest != p.Digest {
			t.Error("the same plan has two digests")
		}
		mustBuild(t, d.e, []release.Package{w.pack("cache", "1.0.1", strings.ReplaceAll(upFrom1, "probation", "do = \"load\"\nprobation"))})
		req := control.UpgradeRequest{To: "v3", Digest: p.Digest}
		wantCode(t, d.e.Upgrade(t.Context(), req, nil), "stale_plan", "no longer")
		req = control.UpgradeRequest{To: "v2", Digest: p.Digest}
		must(t, d.e.Upgrade(t.Context(), req, nil))
		down, err := d.e.Plan(t.Context(), control.PlanRequest{To: "v1"})
		must(t, err)
		if !down.Down || down.Steps[1].Name != "shadow" || down.Estimate == 4 || down.Estimate <= 0 {
			t.Errorf("the plan down does not use the measured rate: %+v", down)
		}
	})
}

func TestBuild(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		same := mustBuild(t, d.e, []release.Package{w.store["visits@2.0.0"]})
		if same.New || same.To != "v2" || same.From != "v1" || len(same.Changes) != 1 {
			t.Errorf("%+v", same)
		}
		if got := same.Changes[0]; got.From != "1.0.0" || got.To != "2.0.0" || got.Detail[0] != "rows 1 -> 2: {v1:string} -> {v2:string}" {
			t.Errorf("%+v", got)
		}
		serving := mustBuild(t, d.e, []release.Package{w.store["visits@1.0.0"]})
		if serving.New || serving.To != "v1" || len(serving.Changes) != 0 {
			t.Errorf("%+v", serving)
		}
		if len(d.e.Releases()) != 2 {
			t.Errorf("%+v", d.e.Releases())
		}
	})
}

func TestBootOfAVersionThatDoesNotStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.broken["1.0.0"] = true
		d := w.boot()
		mustBuild(t, d.e, []release.Package{w.pack("visits", "1.0.0", "")})
		if err := d.e.Boot(t.Context()); err == nil || !strings.Contains(err.Error(), "visits 1.0.0") {
			t.Errorf("boot: %v", err)
		}
		w.wrong = nil // the host that could not start it either
		mustBuild(t, d.e, []release.Package{w.pack("visits", "1.0.1", "")})
		must(t, d.e.Boot(t.Context()))
		if f := w.faults(d.e); len(f) > 0 {
			t.Error(f)
		}
		if name, status := d.e.Current(); name != "v2" || status != "permanent" {
			t.Errorf("%s is %s", name, status)
		}
		d.end()
	})
}

func TestCrashInBoot(t *testing.T) {
	for k := 0; k < 12; k++ {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			d := w.boot()
			mustBuild(t, d.e, []release.Package{w.pack("visits", "1.0.0", ""), w.pack("cache", "1.0.0", "")})
			w.with(func() { w.calls, w.script = nil, at(k, crashAfter) })
			d.do(func(e *Engine) { _ = e.Boot(context.Background()) })
			d.end()
			w.with(func() { w.script = nil })
			d = rest(w)
			defer d.end()
			if f := w.faults(d.e); len(f) > 0 {
				t.Errorf("crash at call %d: %v\n%s", k, f, w.story())
			}
		})
	}
}

// The same with the journal on a disk.
func TestRealJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	w := newWorld(t)
	d := &daemon{w: w}
	open := func() (*Engine, *journal.Journal) {
		j, records, err := journal.Open(path)
		must(t, err)
		e, err := New(Options{Host: d, Journal: j, Records: records, Store: w})
		must(t, err)
		d.e = e
		return e, j
	}
	e, j := open()
	mustBuild(t, e, []release.Package{w.pack("visits", "1.0.0", "")})
	must(t, e.Boot(t.Context()))
	mustBuild(t, e, []release.Package{w.pack("visits", "2.0.0", strings.ReplaceAll(upFrom1, "3s", "1s"))})
	must(t, e.Upgrade(t.Context(), control.UpgradeRequest{}, nil))
	history := e.Since(0)
	e.Close()
	must(t, j.Close())
	e, j = open()
	defer e.Close()
	if name, status := e.Current(); name != "v2" || status != "permanent" {
		t.Errorf("%s is %s", name, status)
	}
	if got := e.Since(0); len(got) != len(history) || got[len(got)-1].Kind != "permanent" || got[0].Seq != 1 {
		t.Errorf("history of %d, was %d", len(got), len(history))
	}
	must(t, j.Close())
}
