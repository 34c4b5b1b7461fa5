package supervise

import (
	"errors"
	"testing/synctest"
	"time"
)

var orderly = []error{ErrShutdown, &ShutdownError{Detail: errors.New("some info")}}

// afterEnd has a child of that restart type end with a reason, and compares what is there afterwards.
func afterEnd(w *world, restart Restart, reason error, want string) {
	w.Helper()
	p := w.add(w.spec("child1", func(c *ChildSpec) { c.Restart = restart }))
	w.end("child1", reason)
	w.wantWhich(want)
	switch want {
	case "child1:running":
		if w.live("child1") == p {
			w.Error("it is the old incarnation")
		}
		w.wantCounts(1, 1, 0, 1)
	case "child1:stopped":
		w.wantCounts(1, 0, 0, 1)
	default:
		w.wantCounts(0, 0, 0, 0)
	}
}

func permanentNormal(w *world) { afterEnd(w.begin(twice), Permanent, nil, "child1:running") }
func transientNormal(w *world) { afterEnd(w.begin(twice), Transient, nil, "child1:stopped") }
func temporaryNormal(w *world) { afterEnd(w.begin(twice), Temporary, nil, "") }

func permanentShutdown(w *world) {
	w.begin(twice)
	afterEnd(w, Permanent, orderly[0], "child1:running")
	w.end("child1", orderly[1])
	w.wantWhich("child1:running")
}

func transientShutdown(w *world) {
	w.begin(twice)
	afterEnd(w, Transient, orderly[0], "child1:stopped")
	w.restart("child1")
	w.end("child1", orderly[1])
	w.wantWhich("child1:stopped")
	w.wantCounts(1, 0, 0, 1)
	if got, _ := w.sup.Stats(w.Context()); got.Restarts != 0 {
		w.Errorf("counted %d restarts", got.Restarts)
	}
}

func temporaryShutdown(w *world) {
	w.begin(twice)
	for _, reason := range orderly {
		afterEnd(w, Temporary, reason, "")
	}
	for _, e := range w.events {
		if e.Report {
			w.Errorf("an orderly end was reported: %+v", e)
		}
	}
}

// The error of a start deep in a tree reaches whoever started the top, with the way there.
func faultyApplicationShutdown(w *world) {
	undefined := errors.New("undef")
	below := &Spec{Children: []ChildSpec{w.spec("before"), w.spec("server", w.asking(func(*proc, int) error { return undefined }))}}
	err := w.try(twice, w.spec("first"), ChildSpec{ID: "app", Tree: below})
	w.wantErr(err, undefined)
	const want = "supervise: top: failed to start child app: supervise: top/app: failed to start child server: undef"
	if err == nil || err.Error() != want {
		w.Errorf("got  %v\nwant %s", err, want)
	}
	w.wantOrder("+first +before -before -first")
}

func permanentAbnormal(w *world) { afterEnd(w.begin(twice), Permanent, errCrash, "child1:running") }
func transientAbnormal(w *world) { afterEnd(w.begin(twice), Transient, errCrash, "child1:running") }

func temporaryAbnormal(w *world) {
	afterEnd(w.begin(twice), Temporary, errCrash, "")
	if got := w.seen(ChildTerminated); got != "child_terminated:child1:crash" || !w.events[2].Report {
		w.Errorf("reported %q", got)
	}
}

func temporaryBystander(w *world) {
	for _, s := range []Strategy{OneForAll, RestForOne} {
		w := newWorld(w.T).begin(with(s, 2))
		w.add(w.spec("child1"))
		w.add(w.spec("child2", temporary))
		w.end("child1", nil)
		w.wantUp()
		w.wantWhich("child1:running")
		w.wantOrder("+child1 +child2 -child1 -child2 +child1")
	}
}

// A child that does not start is no progress.
func externalStartNoProgressLog(w *world) {
	w.begin(with(SimpleOneForOne, 2), w.spec("child", w.asking(ignoring)))
	w.addDynamic(nil)
	if got := w.seen(ChildStarted); got != "" {
		w.Errorf("told %q", got)
	}
}

func multipleRestarts(w *world) {
	w.begin(Flags{Intensity: 1, Period: time.Second})
	w.add(w.spec("child1", brutal))
	w.end("child1", errCrash)
	for range 3 {
		time.Sleep(2100 * time.Millisecond)
		w.end("child1", errCrash)
	}
	w.wantUp()
	w.terminate("child1")
	w.delete("child1")
}

func oneForOne(w *world) {
	w.begin(with(OneForOne, 2))
	w.add(w.spec("child1"))
	p2 := w.add(w.spec("child2"))
	w.end("child1", errCrash)
	w.wantWhich("child2:running child1:running")
	if w.live("child2") != p2 || !p2.alive() {
		w.Error("the sibling was touched")
	}
	w.wantCounts(2, 2, 0, 2)
	w.end("child2", errCrash)
	w.wantUp()
	w.end("child2", errCrash)
	var why *IntensityError
	if err := w.wantDown(); !errors.As(err, &why) || why.ID != "child2" || !errors.Is(why.Reason, errCrash) {
		w.Errorf("the reason does not say why: %v", err)
	}
	if got := w.seen(TooManyRestarts); got == "" {
		w.Error("giving up was not told")
	}
}

func oneForOneEscalation(w *world) {
	w.begin(with(OneForOne, 4))
	w.add(w.spec("child1", w.asking(once)))
	w.add(w.spec("child2"))
	w.end("child1", errCrash)
	w.wantDown()
	if got := len(w.procs["child1"]); got != 1 {
		w.Errorf("%d incarnations", got)
	}
}

func oneForAll(w *world) {
	w.begin(with(OneForAll, 2))
	p1, p2 := w.add(w.spec("child1")), w.add(w.spec("child2"))
	w.end("child1", errCrash)
	w.wantWhich("child2:running child1:running")
	if p2.reason != ErrShutdown || w.live("child1") == p1 || w.live("child2") == p2 {
		w.Errorf("the sibling ended with %v", p2.reason)
	}
	w.wantOrder("+child1 +child2 -child1 -child2 +child1 +child2")
	w.wantCounts(2, 2, 0, 2)
	w.end("child2", errCrash)
	w.wantUp()
	w.end("child2", errCrash)
	w.wantDown()
}

func oneForAllEscalation(w *world) {
	w.begin(with(OneForAll, 4))
	w.add(w.spec("child1"))
	w.add(w.spec("child2", w.asking(once)))
	w.end("child1", errCrash)
	w.wantDown()
	w.wantOrder("+child1 +child2 -child1 -child2" + // then five attempts, the first being the crash's own
		" +child1 -child1 +child1 -child1 +child1 -child1 +child1 -child1")
}

// notSecond refuses the second start.
func notSecond(_ *proc, n int) error {
	if n == 2 {
		return errors.New("start fails")
	}
	return nil
}

func oneForAllOtherChildFailsRestart(w *world) {
	w.begin(with(OneForAll, 3), w.spec("child1"), w.spec("child2", w.asking(notSecond)))
	w.end("child1", errCrash)
	w.wantOrder("+child1 +child2 -child1 -child2 +child1 -child1 +child1 +child2")
	w.wantWhich("child2:running child1:running")
	w.stop()
}

func restForOne(w *world) {
	w.begin(with(RestForOne, 2))
	p1, p2, p3 := w.add(w.spec("child1")), w.add(w.spec("child2")), w.add(w.spec("child3"))
	w.wantCounts(3, 3, 0, 3)
	w.end("child2", errCrash)
	if p3.reason != ErrShutdown || w.live("child1") != p1 || w.live("child2") == p2 || w.live("child3") == p3 {
		w.Errorf("child3 ended with %v", p3.reason)
	}
	w.wantWhich("child3:running child2:running child1:running")
	w.wantOrder("+child1 +child2 +child3 -child2 -child3 +child2 +child3")
	w.end("child3", errCrash)
	w.wantOrder("-child3 +child3")
	w.end("child2", errCrash)
	w.wantDown()
}

func restForOneEscalation(w *world) {
	w.begin(with(RestForOne, 4))
	w.add(w.spec("child1"))
	w.add(w.spec("child2", w.asking(once)))
	w.end("child1", errCrash)
	w.wantDown()
}

func restForOneOtherChildFailsRestart(w *world) {
	w.begin(with(RestForOne, 3), w.spec("child1"), w.spec("child2", w.asking(notSecond)))
	w.end("child1", errCrash)
	w.wantOrder("+child1 +child2 -child1 -child2 +child1 +child2")
	w.wantWhich("child2:running child1:running")
	w.stop()
}

func simpleOneForOne(w *world) {
	w.begin(with(SimpleOneForOne, 2), w.spec("child"))
	_, p1 := w.addDynamic(nil)
	_, p2 := w.addDynamic(nil)
	p1.die(errCrash)
	w.wantWhich("2:running 1:running")
	if !p2.alive() {
		w.Error("the sibling was touched")
	}
	w.wantCounts(1, 2, 0, 2)
	p2.die(errCrash)
	w.end("child", errCrash)
	w.wantDown()
}

func simpleOneForOneRestartIgnore(w *world) {
	for _, r := range []Restart{Transient, Permanent} {
		w := newWorld(w.T)
		third := func(_ *proc, n int) error {
			if n == 3 {
				return ErrIgnore
			}
			return nil
		}
		w.begin(with(SimpleOneForOne, 10), w.spec("child", w.asking(third), func(c *ChildSpec) { c.Restart = r }))
		w.addDynamic(nil)
		w.end("child", ErrKilled)
		w.wantWhich("1:running")
		w.end("child", ErrKilled)
		w.wantWhich("")
		w.stop()
	}
}

// All are asked at once and share one time.
func simpleOneForOneShutdown(w *world) {
	slow := w.asking(func(p *proc, _ int) error { p.slow = p.arg.(time.Duration); return nil })
	w.begin(with(SimpleOneForOne, 2), w.spec("child", slow, func(c *ChildSpec) { c.Shutdown = 2 * time.Second }))
	_, p1 := w.addDynamic(time.Second)
	_, p2 := w.addDynamic(time.Second)
	_, p3 := w.addDynamic(5 * time.Second)
	began := time.Now()
	w.stop()
	if took := time.Since(began); took != 2*time.Second {
		w.Errorf("took %v", took)
	}
	if p1.reason != ErrShutdown || p2.reason != ErrShutdown || p3.reason != ErrKilled {
		w.Errorf("ended with %v, %v, %v", p1.reason, p2.reason, p3.reason)
	}
}

// A restart gets the argument that the child was started with.
func simpleOneForOneExtra(w *world) {
	w.begin(with(SimpleOneForOne, 2), w.spec("child"))
	_, p := w.addDynamic("extra_info")
	p.die(errCrash)
	if again := w.live("child"); again == p || again.arg != "extra_info" {
		w.Errorf("restarted with %v", again.arg)
	}
	w.wantWhich("1:running")
	w.end("child", errCrash)
	w.end("child", errCrash)
	w.wantDown()
}

func simpleOneForOneEscalation(w *world) {
	w.begin(with(SimpleOneForOne, 4), w.spec("child", w.asking(func(p *proc, n int) error {
		if p.arg == "error" && n > 2 {
			return errors.New("start fails")
		}
		return nil
	})))
	_, p1 := w.addDynamic("error")
	w.addDynamic(nil)
	p1.die(errCrash)
	w.wantDown()
}

// stuck is a child whose start takes 2 seconds to fail while it is switched on.
type stuck struct{ on bool }

func (s *stuck) birth(*proc, int) error {
	if !s.on {
		return nil
	}
	time.Sleep(2 * time.Second)
	return errors.New("start fails")
}

// loop has the child crash and its restarts fail, for long enough to be in the middle of it.
func (s *stuck) loop(w *world, id string) {
	s.on = true
	w.live(id).die(errCrash)
	time.Sleep(2500 * time.Millisecond)
}

func hangingRestartLoop(w *world) {
	var s stuck
	w.begin(Flags{Intensity: 8, Period: 10 * time.Second})
	spec := w.spec("child1", brutal, w.asking(s.birth))
	w.add(spec)
	s.loop(w, "child1")

	_, err := w.sup.StartChild(w.Context(), spec)
	w.wantErr(err, ErrAlreadyPresent)
	w.wantRefused("child1", ErrRestarting)
	w.wantWhichNow("child1:restarting")
	w.terminate("child1")
	w.wantWhich("child1:stopped")

	s.on = false
	w.restart("child1")
	s.loop(w, "child1")
	w.stop()
}

// wantWhichNow compares without waiting for a supervisor that never rests.
func (w *world) wantWhichNow(want string) {
	w.Helper()
	kids, err := w.sup.Children(w.Context())
	got := ""
	for _, i := range kids {
		got += " " + i.ID + ":" + i.State.String()
	}
	if err != nil || got != " "+want {
		w.Errorf("children are %q %v, want %q", got, err, want)
	}
}

func hangingRestartLoopRestForOne(w *world) {
	var s stuck
	w.begin(Flags{Strategy: RestForOne, Intensity: 8, Period: 10 * time.Second})
	spec := w.spec("child2", brutal, w.asking(s.birth))
	w.add(w.spec("child1", brutal))
	w.add(spec)
	w.add(w.spec("child3", brutal))
	s.loop(w, "child2")

	_, err := w.sup.StartChild(w.Context(), spec)
	w.wantErr(err, ErrAlreadyPresent)
	w.wantRefused("child2", ErrRestarting)
	w.wantWhichNow("child3:stopped child2:restarting child1:running")
	if n, _ := w.sup.Count(w.Context()); n != (Counts{3, 1, 0, 3}) {
		w.Errorf("counts %+v", n)
	}
	w.terminate("child2")
	w.wantWhich("child3:stopped child2:stopped child1:running")

	s.on = false
	w.restart("child2")
	s.loop(w, "child2")
	w.stop()
}

func hangingRestartLoopSimple(w *world) {
	var s stuck
	w.begin(Flags{Strategy: SimpleOneForOne, Intensity: 8, Period: 10 * time.Second}, w.spec("child", brutal, w.asking(s.birth)))
	id, _ := w.addDynamic(nil)
	s.loop(w, "child")

	w.wantRefused(id, ErrSimpleOneForOne)
	w.wantWhichNow("1:restarting")
	w.terminate(id)
	w.wantWhich("")

	s.on = false
	w.addDynamic(nil)
	s.loop(w, "child")
	w.stop()
}

// A child that ends as its supervisor terminates it does not leave the supervisor waiting.
func childUnlink(w *world) {
	w.begin(twice)
	p := w.add(w.spec("naughty", w.asking(func(p *proc, _ int) error { p.deaf = true; return nil })))
	go w.terminate("naughty")
	time.Sleep(500 * time.Millisecond)
	p.die(nil) // by itself, half way through its time
	synctest.Wait()
	w.wantWhich("naughty:stopped")
	if got := w.seen(ChildStopFailed); got != "shutdown_error:naughty:normal" {
		w.Errorf("reported %q", got)
	}
}
