package supervise

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing/synctest"
	"time"
)

func supStartNormal(w *world) {
	w.begin(twice).stop()
}

// An init that says ignore: a supervisor that is a child, and has nothing to run.
func supStartIgnoreInit(w *world) {
	w.begin(twice)
	w.add(w.spec("sup", supervisor, w.asking(ignoring)))
	w.wantWhich("sup:stopped")
	w.wantCounts(1, 0, 1, 0)
}

func supStartIgnoreChild(w *world) {
	w.begin(twice)
	if w.add(w.spec("child1", w.asking(ignoring))) != nil {
		w.Error("a child that ignores its start runs")
	}
	w.add(w.spec("child2"))
	w.wantWhich("child2:running child1:stopped")
	w.wantCounts(2, 1, 0, 2)
}

func supStartIgnoreTemporaryChild(w *world) {
	w.begin(twice, w.spec("child1", temporary, w.asking(ignoring)), w.spec("child2", temporary))
	w.wantWhich("child2:running")
	w.wantCounts(1, 1, 0, 1)
}

func supStartIgnoreTemporaryChildStartChild(w *world) {
	w.begin(twice)
	w.add(w.spec("child1", temporary, w.asking(ignoring)))
	w.add(w.spec("child2", temporary))
	w.wantWhich("child2:running")
	w.wantCounts(1, 1, 0, 1)
}

func ignoreFirst(_ *proc, n int) error {
	if n == 1 {
		return ErrIgnore
	}
	return nil
}

func supStartIgnoreTemporaryChildStartChildSimple(w *world) {
	w.begin(with(SimpleOneForOne, 2), w.spec("child1", temporary, w.asking(ignoreFirst)))
	w.addDynamic(nil)
	w.addDynamic(nil)
	w.wantWhich("2:running")
	w.wantCounts(1, 1, 0, 1)
}

func supStartIgnorePermanentChildStartChildSimple(w *world) {
	w.begin(with(SimpleOneForOne, 2), w.spec("child1", w.asking(ignoreFirst)))
	w.addDynamic(nil)
	w.addDynamic(nil)
	w.wantWhich("2:running")
	w.wantCounts(1, 1, 0, 1)
	w.stop()
}

func supStartErrorReturn(w *world) {
	bad := errors.New("invalid")
	err := w.try(twice, w.spec("a"), w.spec("b"), w.spec("c", w.asking(func(*proc, int) error { return bad })), w.spec("d"))
	w.wantErr(err, bad)
	var start *StartError
	if !errors.As(err, &start) || start.ID != "c" || start.Supervisor != "top" {
		w.Errorf("the error does not say who: %v", err)
	}
	w.wantOrder("+a +b -b -a")
}

func supStartFail(w *world) {
	err := w.try(twice, w.spec("a"), w.spec("b", w.asking(func(*proc, int) error { panic("badmatch") })))
	var p *PanicError
	if !errors.As(err, &p) || p.Value != "badmatch" || !strings.Contains(string(p.Stack), "supStartFail") {
		w.Errorf("got %v", err)
	}
	w.wantOrder("+a -a")
}

func supStartChildReturnsError(w *world) {
	w.begin(twice)
	bad := errors.New("reason")
	_, err := w.sup.StartChild(w.Context(), w.spec("child1", w.asking(func(*proc, int) error { return bad })))
	w.wantErr(err, bad)
	nothing := func(context.Context, any, func(error)) (Child, error) { return nil, nil }
	_, err = w.sup.StartChild(w.Context(), ChildSpec{ID: "child2", Start: nothing})
	w.wantErr(err, errNoChild)
	w.wantWhich("")
}

func supStartChildReturnsErrorSimple(w *world) {
	bad := errors.New("reason")
	w.begin(with(SimpleOneForOne, 2), w.spec("child", w.asking(func(p *proc, _ int) error { return p.arg.(error) })))
	_, err := w.sup.StartDynamic(w.Context(), bad)
	w.wantErr(err, bad)
	w.wantWhich("")
}

func supStartRestartChildReturnsError(w *world) {
	w.begin(twice, w.spec("child1", w.asking(once)))
	w.terminate("child1")
	_, err := w.sup.RestartChild(w.Context(), "child1")
	var start *StartError
	if !errors.As(err, &start) {
		w.Errorf("got %v", err)
	}
	w.wantWhich("child1:stopped")
}

// The defaults, and that the full spec can be read.
func supStartMap(w *world) {
	start := w.start("any", nil)
	w.begin(Flags{},
		ChildSpec{ID: "child1", Start: start},
		ChildSpec{ID: "child2", Start: start, Shutdown: BrutalKill},
		ChildSpec{ID: "child3", Start: start, Type: TypeSupervisor},
		ChildSpec{ID: "child4", Tree: &Spec{}})
	want := map[string]ChildSpec{
		"child1": {ID: "child1", Shutdown: 5 * time.Second},
		"child2": {ID: "child2", Shutdown: BrutalKill},
		"child3": {ID: "child3", Shutdown: Infinity, Type: TypeSupervisor},
		"child4": {ID: "child4", Shutdown: Infinity, Type: TypeSupervisor},
	}
	for id, c := range want {
		got, err := w.sup.ChildSpec(w.Context(), id)
		if (got.Start == nil) == (got.Tree == nil) {
			w.Errorf("%s: what starts it is missing", id)
		}
		got.Start, got.Tree = nil, nil
		if err != nil || !reflect.DeepEqual(got, c) {
			w.Errorf("%s: %+v %v, want %+v", id, got, err, c)
		}
	}
	_, err := w.sup.ChildSpec(w.Context(), "child5")
	w.wantErr(err, ErrNotFound)
	stats, _ := w.sup.Stats(w.Context())
	if want := (Flags{OneForOne, 1, 5 * time.Second, NeverShutdown}); stats.Flags != want {
		w.Errorf("flags %+v, want %+v", stats.Flags, want)
	}
	w.stop()
}

func supStartMapSimple(w *world) {
	w.begin(Flags{Strategy: SimpleOneForOne}, ChildSpec{ID: "child", Start: w.start("child", nil)})
	id, _ := w.addDynamic(nil)
	got, err := w.sup.ChildSpec(w.Context(), id)
	if err != nil || got.ID != "child" || got.Shutdown != 5*time.Second || got.Restart != Permanent || got.Start == nil {
		w.Errorf("got %+v %v", got, err)
	}
}

func supStartMapFaultySpecs(w *world) {
	start := w.start("any", nil)
	w.wantErr(w.try(Flags{}, ChildSpec{Start: start}), ErrMissingID)
	w.wantErr(w.try(Flags{}, ChildSpec{ID: "child2"}), ErrMissingStart)
	w.wantErr(w.try(Flags{}, ChildSpec{ID: "child3", Start: start, Tree: &Spec{}}), ErrBadCombination)
	w.wantOrder("")
}

func supStopInfinity(w *world) {
	slow := w.asking(func(p *proc, _ int) error { p.slow = time.Hour; return nil })
	forever := func(c *ChildSpec) { c.Shutdown = Infinity }
	w.begin(twice)
	p1, p2 := w.add(w.spec("child1", supervisor, forever, slow)), w.add(w.spec("child2", forever, slow))
	began := time.Now()
	w.stop()
	if took := time.Since(began); took != 2*time.Hour || p1.reason != ErrShutdown || p2.reason != ErrShutdown {
		w.Errorf("took %v, ended with %v and %v", took, p1.reason, p2.reason)
	}
}

func supStopTimeout(w *world) {
	w.begin(twice)
	p1 := w.add(w.spec("child1"))
	p2 := w.add(w.spec("child2", w.asking(func(p *proc, _ int) error { p.slow = 200 * time.Second; return nil })))
	began := time.Now()
	w.stop()
	if took := time.Since(began); took != time.Second || p1.reason != ErrShutdown || p2.reason != ErrKilled {
		w.Errorf("took %v, ended with %v and %v", took, p1.reason, p2.reason)
	}
	if got := w.seen(ChildStopFailed); got != "shutdown_error:child2:killed" {
		w.Errorf("reported %q", got)
	}
}

func supStopBrutalKill(w *world) {
	w.begin(twice)
	p1, p2 := w.add(w.spec("child1")), w.add(w.spec("child2", brutal))
	w.stop()
	if p1.reason != ErrShutdown || p2.reason != ErrKilled || w.seen(ChildStopFailed) != "" {
		w.Errorf("ended with %v and %v", p1.reason, p2.reason)
	}
}

func childAdm(w *world) {
	ctx := w.Context()
	w.begin(twice, w.spec("child1"))
	w.wantWhich("child1:running")
	w.wantCounts(1, 1, 0, 1)
	p := w.live("child1")

	i, err := w.sup.StartChild(ctx, w.spec("child1"))
	w.wantErr(err, ErrAlreadyStarted)
	if i.Child != Child(p) {
		w.Error("not told which child runs")
	}

	w.wantErr(w.sup.TerminateChild(ctx, "other"), ErrNotFound)
	w.terminate("child1")
	if p.reason != ErrShutdown {
		w.Errorf("terminated with %v", p.reason)
	}
	w.wantWhich("child1:stopped")
	w.wantCounts(1, 0, 0, 1)
	w.terminate("child1")

	_, err = w.sup.StartChild(ctx, w.spec("child1"))
	w.wantErr(err, ErrAlreadyPresent)

	w.restart("child1")
	w.wantWhich("child1:running")
	w.wantRefused("child1", ErrRunning)
	w.wantRefused("child2", ErrNotFound)

	w.terminate("child1")
	w.delete("child1")
	w.wantRefused("child1", ErrNotFound)
	w.wantWhich("")
	w.wantCounts(0, 0, 0, 0)

	w.add(w.spec("child1"))
	w.wantWhich("child1:running")
	_, err = w.sup.StartDynamic(ctx, nil)
	w.wantErr(err, ErrNotDynamic)
	w.stop()
	_, err = w.sup.Children(ctx)
	w.wantErr(err, ErrNoProc)
	_, err = w.sup.Count(ctx)
	w.wantErr(err, ErrNoProc)
	w.wantErr(w.sup.TerminateChild(ctx, "child1"), ErrNoProc)
}

func childAdmSimple(w *world) {
	ctx := w.Context()
	w.begin(with(SimpleOneForOne, 2), w.spec("child"))
	w.wantWhich("")
	w.wantCounts(1, 0, 0, 0)
	id, p := w.addDynamic(nil)
	w.wantWhich("1:running")
	w.wantCounts(1, 1, 0, 1)
	w.addDynamic(nil)
	w.wantWhich("2:running 1:running")
	w.wantCounts(1, 2, 0, 2)
	_, err := w.sup.StartChild(ctx, w.spec("other"))
	w.wantErr(err, ErrSimpleOneForOne)

	w.wantErr(w.sup.TerminateChild(ctx, "child"), ErrNotFound)
	w.terminate(id)
	if p.alive() {
		w.Error("a terminated child lives")
	}
	w.wantCounts(1, 1, 0, 1)
	w.terminate(id)
	w.wantCounts(1, 1, 0, 1)
	w.wantErr(w.sup.TerminateChild(ctx, "3"), ErrNotFound)
	w.wantRefused("child", ErrSimpleOneForOne)
}

func childSpecs(w *world) {
	w.begin(twice)
	good := w.spec("child")
	bad := map[error]ChildSpec{
		ErrMissingStart:    {ID: "child"},
		ErrInvalidRestart:  {ID: "child", Start: good.Start, Restart: 7},
		ErrInvalidShutdown: {ID: "child", Start: good.Start, Shutdown: -10},
		ErrInvalidType:     {ID: "child", Start: good.Start, Type: 7},
	}
	for want, c := range bad {
		_, err := w.sup.StartChild(w.Context(), c)
		w.wantErr(err, want)
		w.wantErr(CheckSpecs(Flags{}, c), want)
		w.wantErr(newWorld(w.T).try(Flags{}, c), want)
		w.wantErr(newWorld(w.T).try(Flags{Strategy: SimpleOneForOne}, c), want)
	}
	for _, c := range []ChildSpec{
		w.spec("a", supervisor, func(c *ChildSpec) { c.Shutdown = Infinity }), w.spec("a", supervisor),
		w.spec("a", temporary), w.spec("a", transient), w.spec("a", func(c *ChildSpec) { c.Shutdown = Infinity }),
	} {
		w.wantErr(CheckSpecs(Flags{}, c), nil)
	}
	w.wantErr(CheckSpecs(Flags{}, good, w.spec("other"), good), ErrDuplicateID)
	simple := Flags{Strategy: SimpleOneForOne}
	w.wantErr(newWorld(w.T).try(simple), ErrBadStartSpec)
	w.wantErr(newWorld(w.T).try(simple, w.spec("a"), w.spec("b")), ErrBadStartSpec)
	w.stop()
}

// What a start returns besides being a child comes back to those who started it, unchanged: it is the same value.
func extraReturn(w *world) {
	w.begin(twice, w.spec("child1"))
	w.terminate("child1")
	i, err := w.sup.RestartChild(w.Context(), "child1")
	if p, ok := i.Child.(*proc); err != nil || !ok || p != w.live("child1") {
		w.Errorf("got %v %v", i.Child, err)
	}
	w.terminate("child1")
	w.delete("child1")
	if p := w.add(w.spec("child1")); p != w.live("child1") {
		w.Error("StartChild returned another child")
	}
	w.wantCounts(1, 1, 0, 1)
}

func supFlags(w *world) {
	for want, flags := range map[error][]Flags{
		ErrInvalidStrategy:     {{Strategy: 9}},
		ErrInvalidIntensity:    {{Intensity: -2}},
		ErrInvalidPeriod:       {{Period: -time.Second}, {Period: 1500 * time.Millisecond}},
		ErrInvalidAutoShutdown: {{AutoShutdown: 9}},
	} {
		for _, f := range flags {
			w.wantErr(w.try(f), want)
		}
	}
	synctest.Wait()
	if w.sup != nil {
		w.Error("something was started")
	}
}
