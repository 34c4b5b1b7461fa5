package supervise

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing/synctest"
	"time"
)

func treeOfSupervisors(w *world) {
	four := with(OneForOne, 4)
	w.begin(with(OneForAll, 4))
	w.add(ChildSpec{ID: "sup1", Tree: &Spec{Flags: four, Children: w.specs("child1", "child2")}})
	w.add(ChildSpec{ID: "sup2", Tree: &Spec{Flags: four}})
	w.add(ChildSpec{ID: "sup3", Tree: &Spec{Flags: four}, Restart: Transient})
	w.terminate("sup3")
	w.wantCounts(3, 2, 3, 0)

	sup2 := w.below("sup2")
	for _, c := range []ChildSpec{w.spec("child3", w.asking(once)), w.spec("child4")} {
		if _, err := sup2.StartChild(w.Context(), c); err != nil {
			w.Fatal(err)
		}
	}
	w.wantTree("top[sup1[child1 child2] sup2[child3 child4] sup3]")
	p := w.live("child3")
	w.end("child4", errCrash)
	if len(w.procs["child4"]) != 2 || w.live("child3") != p || w.below("sup2") != sup2 {
		w.Error("more than the crashed child was restarted")
	}

	w.order()
	w.end("child3", errCrash) // cannot start again: sup2 gives up, then everything below the top is restarted
	w.wantOrder("-child3 -child4 -child2 -child1 +child1 +child2")
	w.wantTree("top[sup1[child1 child2] sup2 sup3]")
	w.wantCounts(3, 3, 3, 0)
}

func (w *world) below(id string) *Supervisor {
	w.Helper()
	i, err := w.sup.Child(w.Context(), id)
	if err != nil {
		w.Fatal(err)
	}
	return i.Child.(*Supervisor)
}

func (w *world) wantTree(want string) {
	w.Helper()
	synctest.Wait()
	n, err := w.sup.Tree(w.Context())
	if got := outline(n); err != nil || got != want {
		w.Errorf("the tree is %s %v, want %s", got, err, want)
	}
}

func outline(n Node) string {
	var below []string
	for _, c := range n.Children {
		below = append(below, outline(c))
	}
	if below == nil {
		return n.ID
	}
	return n.ID + "[" + strings.Join(below, " ") + "]"
}

func many(w *world, kind func(*ChildSpec), count func(n int) Counts) {
	w.begin(with(SimpleOneForOne, 2), w.spec("child", temporary, kind))
	for _, n := range []int{1000, 2000} {
		for len(w.procs["child"]) < n {
			w.addDynamic(nil)
		}
		kids, err := w.sup.Children(w.Context())
		if err != nil || len(kids) != n {
			w.Errorf("%d children %v, want %d", len(kids), err, n)
		}
		want := count(n)
		w.wantCounts(want.Specs, want.Active, want.Supervisors, want.Workers)
	}
	for _, p := range w.procs["child"] {
		p.Kill()
	}
	w.wantCounts(1, 0, 0, 0)
}

func countChildren(w *world) {
	many(w, func(*ChildSpec) {}, func(n int) Counts { return Counts{1, n, 0, n} })
}

func countChildrenSupervisor(w *world) {
	many(w, supervisor, func(n int) Counts { return Counts{1, n, n, 0} })
}

func countRestartingChildren(w *world) {
	var s stuck
	w.begin(Flags{Strategy: SimpleOneForOne, Intensity: 20, Period: 10 * time.Second}, w.spec("child", brutal, w.asking(s.birth)))
	ids := make([]string, 3)
	for i := range ids {
		ids[i], _ = w.addDynamic(nil)
		w.wantCounts(1, i+1, 0, i+1)
	}
	s.on = true
	for i := range ids {
		w.procs["child"][i].die(errCrash)
		time.Sleep(5 * time.Second) // each attempt takes 2
		if n, _ := w.sup.Count(w.Context()); n != (Counts{1, 2 - i, 0, 3}) {
			w.Errorf("after %d: %+v", i+1, n)
		}
	}
	for i, id := range ids {
		w.terminate(id)
		if n, _ := w.sup.Count(w.Context()); n != (Counts{1, 0, 0, 2 - i}) {
			w.Errorf("after %d: %+v", i+1, n)
		}
	}
}

func orderOfChildren(w *world) {
	w.begin(with(RestForOne, 2), w.specs("ch7", "ch3", "ch10", "ch2", "ch5")...)
	w.wantOrder("+ch7 +ch3 +ch10 +ch2 +ch5")
	w.end("ch10", errCrash)
	w.wantOrder("-ch10 -ch5 -ch2 +ch10 +ch2 +ch5")
	w.stop()
	w.wantOrder("-ch5 -ch2 -ch10 -ch3 -ch7")
}

func whichChildren(w *world) {
	w.begin(Flags{})
	w.wantWhich("")
	w.add(w.spec("child1"))
	w.add(w.spec("child2"))
	w.wantWhich("child2:running child1:running")
	i, err := w.sup.Child(w.Context(), "child1")
	if err != nil || i.Child != Child(w.live("child1")) || i.Type != TypeWorker {
		w.Errorf("got %+v %v", i, err)
	}
	w.terminate("child1")
	if i, _ := w.sup.Child(w.Context(), "child1"); i.State != Stopped || i.Child != nil || !i.Started.IsZero() {
		w.Errorf("got %+v", i)
	}
	w.delete("child1")
	_, err = w.sup.Child(w.Context(), "child1")
	w.wantErr(err, ErrNotFound)
	w.wantWhich("child2:running")
}

func whichChildrenSimpleOneForOne(w *world) {
	w.begin(Flags{Strategy: SimpleOneForOne}, w.spec("child", temporary))
	w.wantWhich("")
	id1, p1 := w.addDynamic(nil)
	id2, _ := w.addDynamic(nil)
	if i, err := w.sup.Child(w.Context(), id1); err != nil || i.Child != Child(p1) || i.ID != id1 {
		w.Errorf("got %+v %v", i, err)
	}
	w.terminate(id1)
	w.wantWhich(id2 + ":running")
	for _, id := range []string{id1, "child"} {
		_, err := w.sup.Child(w.Context(), id)
		w.wantErr(err, ErrNotFound)
	}
}

// A start that finds its name taken elsewhere is a start that failed, and its error is passed on.
func alreadyStartedOutsideSupervisor(w *world) {
	taken := errors.New("already_started elsewhere")
	w.begin(Flags{})
	_, err := w.sup.StartChild(w.Context(), w.spec("child", transient, w.asking(func(*proc, int) error { return taken })))
	w.wantErr(err, taken)
	w.wantWhich("")
	w.stop()
}

// large is what a start function or an argument may hold; freed counts those that were collected.
type large struct{ data [1 << 16]byte }

func newLarge(freed *atomic.Int32) *large {
	l := new(large)
	runtime.AddCleanup(l, func(freed *atomic.Int32) { freed.Add(1) }, freed)
	return l
}

// collected runs the collector until n were freed, or for long enough to be sure that they are kept.
func collected(freed *atomic.Int32, n int32) bool {
	for range 8 {
		runtime.GC()
		runtime.Gosched()
		if n > 0 && freed.Load() == n {
			return true
		}
	}
	return freed.Load() == n
}

// forgetful starts children that do not keep their argument.
func (w *world) forgetful(_ context.Context, _ any, exit func(error)) (Child, error) {
	return &proc{exit: exit, log: w.log}, nil
}

func simpleOneForOneCorruption(w *world) {
	var freed atomic.Int32
	w.begin(with(SimpleOneForOne, 2), ChildSpec{ID: "child", Start: w.forgetful, Restart: Temporary})
	w.addDynamic(newLarge(&freed))
	w.terminate("1")
	w.addDynamic(newLarge(&freed))
	if !collected(&freed, 2) {
		w.Errorf("%d of 2 arguments were freed while the second child runs", freed.Load())
	}
}

func doNotSaveStartParametersForTemporaryChildren(w *world) {
	for _, s := range []Strategy{OneForAll, OneForOne, RestForOne, SimpleOneForOne} {
		for _, c := range []struct {
			restart Restart
			free    int32
		}{{Temporary, 1}, {Transient, 0}, {Permanent, 0}} {
			var freed atomic.Int32
			startHolding(newWorld(w.T), s, c.restart, &freed)
			if !collected(&freed, c.free) {
				w.Errorf("%s, %s: %d were freed, want %d", s, c.restart, freed.Load(), c.free)
			}
		}
	}
}

// startHolding starts a child whose start holds something large.
func startHolding(w *world, s Strategy, r Restart, freed *atomic.Int32) {
	hold := newLarge(freed)
	if s == SimpleOneForOne {
		w.begin(with(s, 2), ChildSpec{ID: "child", Restart: r, Start: w.forgetful})
		w.addDynamic(hold)
		return
	}
	w.begin(with(s, 2))
	w.add(w.spec("child", func(c *ChildSpec) { c.Restart = r }, w.asking(func(*proc, int) error {
		hold.data[0]++
		return nil
	})))
}

func doNotSaveChildSpecsForTemporaryChildren(w *world) {
	for _, s := range []Strategy{OneForAll, OneForOne, RestForOne} {
		for _, reason := range []error{ErrKilled, nil, errCrash} {
			w := newWorld(w.T).begin(with(s, 10))
			for id, c := range map[string]struct {
				restart Restart
				again   error // what a second StartChild says after the child ended
			}{
				"child1": {Permanent, ErrAlreadyStarted},
				"child2": {Transient, ErrAlreadyStarted},
				"child3": {Temporary, nil},
			} {
				spec := w.spec(id, func(s *ChildSpec) { s.Restart = c.restart })
				w.add(spec)
				w.end(id, reason)
				if c.restart == Transient && reason == nil {
					c.again = ErrAlreadyPresent
				}
				_, err := w.sup.StartChild(w.Context(), spec)
				w.wantErr(err, c.again)
			}
		}
		specsAfterTerminate(newWorld(w.T).begin(with(s, 10)))
	}
}

func specsAfterTerminate(w *world) {
	for r, want := range map[Restart]error{Permanent: ErrAlreadyPresent, Transient: ErrAlreadyPresent, Temporary: nil} {
		spec := w.spec(fmt.Sprint(r), func(c *ChildSpec) { c.Restart = r })
		w.add(spec)
		w.terminate(spec.ID)
		_, err := w.sup.StartChild(w.Context(), spec)
		w.wantErr(err, want)
	}
}

// scales fails if ten times the children take much more than ten times as much of the processor; OTP allows 50, as
// a collection may fall into one run and not into the other.
func scales(w *world, start func(w *world, i int) string, flags Flags, specs func(w *world) []ChildSpec) {
	cost := func(n int) time.Duration {
		w := newWorld(w.T)
		w.begin(flags, specs(w)...)
		before := processorTime(w)
		startAndTerminate(w, n, start)
		return processorTime(w) - before
	}
	few := max(cost(1000), cost(1000), time.Millisecond)
	if lot := cost(10_000); lot > 50*few {
		w.Errorf("1,000 children cost %v, 10,000 cost %v", few, lot)
	}
}

// processorTime is real where all other time is virtual.
func processorTime(w *world) time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		w.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

func startAndTerminate(w *world, n int, start func(w *world, i int) string) {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = start(w, i)
	}
	w.wantActive(n)
	for _, id := range ids {
		w.terminate(id)
	}
	w.wantActive(0)
}

func (w *world) wantActive(n int) {
	w.Helper()
	if got, err := w.sup.Count(w.Context()); err != nil || got.Active != n {
		w.Errorf("%d are active %v, want %d", got.Active, err, n)
	}
}

func simpleOneForOneScaleManyTemporaryChildren(w *world) {
	scales(w, func(w *world, _ int) string {
		id, _ := w.addDynamic(nil)
		return id
	}, with(SimpleOneForOne, 2), func(w *world) []ChildSpec { return []ChildSpec{w.spec("child", temporary)} })
}

func scaleStartStopManyChildren(w *world) {
	scales(w, func(w *world, i int) string {
		id := fmt.Sprint("child", i)
		w.add(w.spec(id))
		return id
	}, with(OneForOne, 2), func(*world) []ChildSpec { return nil })
}

func codeChange(w *world) {
	ctx := w.Context()
	w.begin(Flags{Intensity: NoRestarts, Period: time.Second})
	change := func(want error, flags Flags, specs ...ChildSpec) {
		w.Helper()
		w.wantErr(w.sup.ChangeSpecs(ctx, flags, specs...), want)
	}
	change(nil, Flags{Intensity: 1, Period: 3 * time.Second})
	stats, _ := w.sup.Stats(ctx)
	if stats.Flags.Intensity != 1 || stats.Flags.Period != 3*time.Second {
		w.Errorf("flags %+v", stats.Flags)
	}
	change(ErrMissingStart, Flags{}, ChildSpec{ID: "child1"})

	child1, child2, child3 := w.spec("child1"), w.spec("child2", brutal), w.spec("child3", brutal)
	change(nil, Flags{}, child1, child2)
	w.wantWhich("child2:stopped child1:stopped") // new ones are not started
	w.restart("child1")
	w.restart("child2")
	p1 := w.live("child1")

	child1.Shutdown = 7 * time.Second
	change(nil, Flags{}, child1, child3)
	w.wantWhich("child2:running child3:stopped child1:running") // those that are gone stay, at the end
	if c, _ := w.sup.ChildSpec(ctx, "child1"); c.Shutdown != 7*time.Second || w.live("child1") != p1 {
		w.Errorf("child1 follows %+v", c)
	}

	change(ErrInvalidIntensity, Flags{Intensity: -7}, child1)
	change(ErrBadCombination, Flags{Strategy: SimpleOneForOne}, child1)
	w.wantWhich("child2:running child3:stopped child1:running")
	w.stop()
	w.wantOrder("+child1 +child2 -child2 -child1")
}

// Names of the fields and their defaults, as a spec that says little is filled in.
func codeChangeMap(w *world) {
	w.begin(Flags{})
	start := w.start("child1", nil)
	upgradeTo := func(flags Flags, specs ...ChildSpec) {
		w.Helper()
		w.wantErr(w.sup.ChangeSpecs(w.Context(), flags, specs...), nil)
	}
	upgradeTo(Flags{}, ChildSpec{ID: "child1", Start: start, Shutdown: 2 * time.Second})
	w.restart("child1")
	upgradeTo(Flags{}, ChildSpec{ID: "child1", Start: start})
	if c, _ := w.sup.ChildSpec(w.Context(), "child1"); c.Shutdown != 5*time.Second {
		w.Errorf("shutdown %v", c.Shutdown)
	}
	upgradeTo(Flags{Strategy: OneForAll}, ChildSpec{ID: "child1", Start: w.start("renewed", nil)})
	w.end("child1", errCrash)
	if w.live("renewed") == nil || len(w.procs["child1"]) != 1 {
		w.Error("the restart did not follow the new spec")
	}
	w.stop()
}

func codeChangeSimple(w *world) {
	simple := Flags{Strategy: SimpleOneForOne, Intensity: 5, Period: time.Second}
	w.begin(simple, w.spec("child1", brutal))
	id, p := w.addDynamic("kept")
	renewed := ChildSpec{ID: "child1", Start: w.start("renewed", nil), Shutdown: time.Second}
	w.wantErr(w.sup.ChangeSpecs(w.Context(), simple, renewed), nil)
	p.die(errCrash)
	if again := w.live("renewed"); again.arg != "kept" {
		w.Errorf("restarted with %v", again.arg)
	}
	if c, _ := w.sup.ChildSpec(w.Context(), id); c.Shutdown != time.Second {
		w.Errorf("the child follows %+v", c)
	}
	w.wantErr(w.sup.ChangeSpecs(w.Context(), simple, renewed, w.spec("child2")), ErrBadStartSpec)
	w.wantErr(w.sup.ChangeSpecs(w.Context(), simple), ErrBadStartSpec)
	w.wantWhich("1:running")
	w.stop()
}

func codeChangeSimpleMap(w *world) {
	simple := Flags{Strategy: SimpleOneForOne}
	w.begin(simple, ChildSpec{ID: "child1", Start: w.start("child1", nil)})
	id, _ := w.addDynamic(nil)
	w.wantErr(w.sup.ChangeSpecs(w.Context(), simple, ChildSpec{ID: "child1", Start: w.start("child1", nil), Shutdown: time.Second}), nil)
	if c, _ := w.sup.ChildSpec(w.Context(), id); c.Shutdown != time.Second {
		w.Errorf("the child follows %+v", c)
	}
	w.wantErr(w.sup.ChangeSpecs(w.Context(), Flags{}, w.spec("child1")), ErrBadCombination)
	w.stop()
}
