package supervise

// The names are those of the cases of OTP's supervisor_SUITE (stdlib 4.2), which each test mirrors.

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestSupStartNormal(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{}, w.spec("a"), w.spec("b"))
		w.wrote("+a +b")
		w.cancel(nil)
		w.is(w.ended(), ErrShutdown)
		w.wrote("-b -a")
	})
}

func TestSupStartIgnoreChild(t *testing.T) {
	bubble(t, func(w *world) {
		a, b := w.spec("a"), w.spec("b")
		w.kids["a"].ignore = true
		w.run(Flags{}, a, b)
		w.children("a:terminated b:running")
		_, err := w.sup.StartChild(w.Context(), w.spec("c"))
		w.must(err)
		w.children("a:terminated b:running c:running")
	})
}

// A temporary child that ignores leaves no specification, at the start or later.
func TestSupStartIgnoreTemporaryChild(t *testing.T) {
	bubble(t, func(w *world) {
		a, c := w.spec("a", temporary), w.spec("c", temporary)
		w.kids["a"].ignore, w.kids["c"].ignore = true, true
		w.run(Flags{}, a, w.spec("b"))
		_, err := w.sup.StartChild(w.Context(), c)
		w.must(err)
		w.children("b:running")
	})
}

// sup_start_ignore_permanent_child_start_child_simple, and Elixir: a dynamic supervisor keeps no child that ignores.
func TestSupStartIgnorePermanentChildStartChildSimple(t *testing.T) {
	bubble(t, func(w *world) {
		a := w.spec("a")
		w.kids["a"].ignore = true
		w.run(Flags{Strategy: Dynamic})
		_, err := w.sup.StartChild(w.Context(), a)
		w.must(err)
		w.children("")
	})
}

// sup_start_error_return, sup_start_fail and sup_start_child_returns_error: those that were started stop in reverse.
func TestSupStartChildReturnsError(t *testing.T) {
	bubble(t, func(w *world) {
		a, b, c, d := w.spec("a"), w.spec("b"), w.spec("c"), w.spec("d")
		w.kids["c"].fails = 1
		err := w.try(Flags{Intensity: 10}, a, b, c, d)
		var start *StartError
		if !errors.As(err, &start) || start.ID != "c" || !errors.Is(err, errCrash) {
			t.Errorf("error is %v", err)
		}
		w.wrote("+a +b !c -b -a")
	})
}

func TestStartOfAChildPanics(t *testing.T) {
	bubble(t, func(w *world) {
		err := w.try(Flags{}, ChildSpec{ID: "a", Start: func(context.Context) (Child, error) { panic("ouch") }})
		var p *PanicError
		if !errors.As(err, &p) || p.Value != "ouch" || len(p.Stack) == 0 {
			t.Errorf("error is %v", err)
		}
	})
}

func TestSupStartRestartChildReturnsError(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{}, w.spec("a"))
		w.must(w.sup.TerminateChild(w.Context(), "a"))
		w.kids["a"].fails = 1
		_, err := w.sup.RestartChild(w.Context(), "a")
		w.is(err, errCrash)
		w.children("a:terminated")
		w.alive()
	})
}

// sup_start_child_returns_error_simple
func TestSupStartChildReturnsErrorSimple(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{Strategy: Dynamic})
		spec := w.spec("a")
		w.kids["a"].fails = 1
		_, err := w.sup.StartChild(w.Context(), spec)
		w.is(err, errCrash)
		n, err := w.sup.Count(w.Context())
		w.must(err)
		if n.Specs != 0 {
			t.Errorf("%+v", n)
		}
	})
}

// sup_start_map_faulty_specs, child_specs and sup_flags: what cannot be is refused before anything starts.
func TestFaultySpecs(t *testing.T) {
	w := newWorld(t)
	ok := w.spec("a")
	for name, c := range map[string]struct {
		flags Flags
		specs []ChildSpec
	}{
		"no id":                       {specs: []ChildSpec{{Start: ok.Start}}},
		"no start":                    {specs: []ChildSpec{{ID: "a"}}},
		"twice":                       {specs: []ChildSpec{ok, ok}},
		"unknown restart":             {specs: []ChildSpec{{ID: "a", Start: ok.Start, Restart: 3}}},
		"unknown kind":                {specs: []ChildSpec{{ID: "a", Start: ok.Start, Kind: 2}}},
		"negative shutdown":           {specs: []ChildSpec{{ID: "a", Start: ok.Start, Shutdown: -2}}},
		"permanent and significant":   {Flags{AutoShutdown: AnySignificant}, []ChildSpec{w.spec("b", significant)}},
		"significant, never":          {specs: []ChildSpec{w.spec("c", transient, significant)}},
		"unknown strategy":            {flags: Flags{Strategy: 4}},
		"unknown auto_shutdown":       {flags: Flags{AutoShutdown: 3}},
		"intensity":                   {flags: Flags{Intensity: -2}},
		"period below a second":       {flags: Flags{Period: time.Millisecond}},
		"negative period":             {flags: Flags{Period: -time.Second}},
		"children of a dynamic one":   {Flags{Strategy: Dynamic}, []ChildSpec{ok}},
		"bound of a static one":       {flags: Flags{MaxChildren: 1}},
		"negative number of children": {flags: Flags{Strategy: Dynamic, MaxChildren: -1}},
	} {
		_, err := New(c.flags, c.specs...)
		var spec *SpecError
		if !errors.As(err, &spec) || spec.What == "" {
			t.Errorf("%s: error is %v", name, err)
		}
	}
	if w.kids["a"].starts > 0 {
		t.Error("something was started")
	}
}

func TestSupStopInfinity(t *testing.T) {
	bubble(t, func(w *world) {
		a := w.spec("a", within(Infinity))
		w.kids["a"].slow = time.Hour
		w.run(Flags{}, a)
		began := time.Now()
		w.cancel(nil)
		<-w.done
		w.done <- nil
		if took := time.Since(began); took != time.Hour {
			t.Errorf("it took %s", took)
		}
		w.wrote("+a -a")
		w.reported()
	})
}

// A child that does not end in its time is killed; as a goroutine it is an orphan from then on.
func TestSupStopTimeout(t *testing.T) {
	bubble(t, func(w *world) {
		a, b := w.spec("a", within(time.Minute)), w.spec("b", within(time.Minute))
		w.kids["a"].slow, w.kids["b"].slow = time.Second, time.Hour
		w.run(Flags{}, a, b)
		began := time.Now()
		w.cancel(nil)
		<-w.done
		w.done <- nil
		if took := time.Since(began); took != time.Minute+time.Second {
			t.Errorf("it took %s", took)
		}
		w.reported("stop_failed b")
	})
}

func TestSupStopBrutalKill(t *testing.T) {
	bubble(t, func(w *world) {
		a, b := w.spec("a"), w.spec("b", within(BrutalKill))
		w.kids["b"].slow = time.Hour
		w.run(Flags{}, a, b)
		w.cancel(nil)
		w.is(w.ended(), ErrShutdown)
		w.reported() // that is what was asked for
	})
}

// Goroutines cannot be killed: the one that was given up is counted until it returns.
func TestOrphanIsCountedUntilItReturns(t *testing.T) {
	bubble(t, func(w *world) {
		a := w.spec("a", within(time.Second))
		w.kids["a"].slow = time.Minute
		w.run(Flags{}, a)
		w.must(w.sup.TerminateChild(w.Context(), "a"))
		n, err := w.sup.Count(w.Context())
		w.must(err)
		if n.Orphans != 1 || n.Active != 0 {
			t.Errorf("count is %+v", n)
		}
		time.Sleep(2 * time.Minute)
		if n, _ = w.sup.Count(w.Context()); n.Orphans != 0 {
			t.Errorf("count is %+v", n)
		}
	})
}

// child_adm: start, terminate, restart and delete, with each of the errors.
func TestChildAdm(t *testing.T) {
	bubble(t, func(w *world) {
		ctx := w.Context()
		w.run(Flags{}, w.spec("a"))
		_, err := w.sup.StartChild(ctx, w.spec("b"))
		w.must(err)
		for id, want := range map[string]error{"a": ErrAlreadyStarted} {
			_, err := w.sup.StartChild(ctx, ChildSpec{ID: id, Start: Go(nil)})
			w.is(err, want)
		}
		w.is(w.sup.DeleteChild(ctx, "a"), ErrRunning)
		_, err = w.sup.RestartChild(ctx, "a")
		w.is(err, ErrRunning)
		w.must(w.sup.TerminateChild(ctx, "a"))
		w.must(w.sup.TerminateChild(ctx, "a"))
		w.children("a:terminated b:running")
		_, err = w.sup.StartChild(ctx, ChildSpec{ID: "a", Start: Go(nil)})
		w.is(err, ErrAlreadyPresent)
		_, err = w.sup.RestartChild(ctx, "a")
		w.must(err)
		w.must(w.sup.TerminateChild(ctx, "a"))
		w.must(w.sup.DeleteChild(ctx, "a"))
		w.children("b:running")
		for _, err := range []error{w.sup.DeleteChild(ctx, "a"), w.sup.TerminateChild(ctx, "a")} {
			w.is(err, ErrNotFound)
		}
		_, err = w.sup.Child(ctx, "a")
		w.is(err, ErrNotFound)
		_, err = w.sup.StartChild(ctx, ChildSpec{ID: "x"})
		var spec *SpecError
		if !errors.As(err, &spec) {
			t.Errorf("error is %v", err)
		}
		w.kids["a"].fails = 1
		_, err = w.sup.StartChild(ctx, ChildSpec{ID: "a", Start: w.start("a", w.kids["a"])})
		w.is(err, errCrash)
		w.children("b:running")
	})
}

func TestSupervisorThatDoesNotRun(t *testing.T) {
	w := newWorld(t)
	sup, err := New(Flags{})
	w.must(err)
	_, err = sup.Children(w.Context())
	w.is(err, ErrNotRunning)
	w.is(sup.DeleteChild(w.Context(), "a"), ErrNotRunning)
}

func TestASupervisorRunsOnce(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{})
		w.is(w.sup.Run(w.Context(), func() {}), ErrAlreadyStarted)
	})
}

// While a start takes its time the end of the context ends it.
func TestStopDuringAStart(t *testing.T) {
	bubble(t, func(w *world) {
		sup, err := New(Flags{}, w.spec("a"), ChildSpec{ID: "b", Start: Go(func(ctx context.Context, _ func()) error {
			<-ctx.Done()
			return context.Cause(ctx)
		})})
		w.must(err)
		ctx, cancel := context.WithCancel(w.Context())
		done := make(chan error, 1)
		go func() { done <- sup.Run(ctx, func() { t.Error("ready") }) }()
		synctest.Wait()
		cancel()
		var start *StartError
		if err := <-done; !errors.As(err, &start) || start.ID != "b" {
			t.Errorf("error is %v", err)
		}
		w.wrote("+a -a")
	})
}
