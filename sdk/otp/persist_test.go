package otp

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/state"
	"github.com/theseusd/theseus/sdk/supervise"
)

func persisting(b *Behaviour[tally]) { b.Persist = true }

// crash has another version take over without a word from the one that is awake.
func (p *port) crash(version string, o Options) *ship { p.t.Helper(); return p.launch(version, o) }

func TestProcessThatPersistsComesBackAfterACrash(t *testing.T) {
	p := newPort(t)
	b := tallyV1(persisting)
	o := Options{Behaviours: []AnyBehaviour{b}}
	s := p.launch("1.0.0", o)
	var pids []PID
	for i := range 100 {
		pid, err := Start(s.Node(), b, nil, Named(Name(fmt.Sprint("p", i))))
		is(t, err, nil)
		pids = append(pids, pid)
		counts(t, s.Node(), pid, int64(i), int64(i))
	}
	is(t, Halt(s.Node(), pids[3], nil), nil)
	Unregister(s.Node(), "p4")
	for generation := int64(1); generation < 4; generation++ {
		s = p.crash("1.0.0", o)
		n := s.Node()
		if got := n.Stats().Processes; got != 99 {
			t.Errorf("%d processes came back", got)
		}
		_, err := Call(n, pids[3], count{})
		is(t, err, ErrNoProc)
		if WhereIs(n, "p3") != 0 || WhereIs(n, "p4") != 0 || WhereIs(n, "p5") != pids[5] {
			t.Error("names are", WhereIs(n, "p3"), WhereIs(n, "p4"), WhereIs(n, "p5"))
		}
		for i := range pids[5:] {
			counts(t, n, Name(fmt.Sprint("p", i+5)), 1, int64(i+5)+generation)
		}
		counts(t, n, pids[4], 1, 4+generation)
		pid, err := Start(n, b, nil)
		is(t, err, nil)
		for _, old := range pids {
			if old == pid {
				t.Errorf("%s is there again", pid)
			}
		}
		is(t, Halt(n, pid, nil), nil)
	}
}

// The supervisor finds it by its name; one that does not persist it starts afresh.
func TestSupervisorAfterACrash(t *testing.T) {
	p := newPort(t)
	kept := tallyV1(persisting)
	fresh := tallyV1(func(b *Behaviour[tally]) { b.Name = "fresh" })
	build := func() *ship {
		root := func(n *Node) (*supervise.Supervisor, error) {
			return supervise.New(supervise.Flags{},
				supervise.ChildSpec{ID: "kept", Start: Child(n, kept, nil, Named("kept"))},
				supervise.ChildSpec{ID: "fresh", Start: Child(n, fresh, nil, Named("fresh"))})
		}
		return p.build("1.0.0", Options{Behaviours: []AnyBehaviour{kept, fresh}, Root: root})
	}
	s := build()
	s.takeOver(nil, false)
	for i := range int64(3) {
		counts(t, s.Node(), Name("kept"), 1, i+1)
		counts(t, s.Node(), Name("fresh"), 1, i+1)
	}
	s = build()
	s.takeOver(nil, false)
	counts(t, s.Node(), Name("kept"), 1, 4)
	counts(t, s.Node(), Name("fresh"), 1, 1)
}

// An answer that somebody got is in the log: at every call the process may be the last that was heard of.
func TestNoAnswerBeforeTheLog(t *testing.T) {
	p := newPort(t)
	b := tallyV1(persisting)
	o := Options{Behaviours: []AnyBehaviour{b}}
	s := p.launch("1.0.0", o)
	pid, err := Start(s.Node(), b, nil)
	is(t, err, nil)
	var acknowledged int64
	for range 20 {
		var wg sync.WaitGroup
		var mu sync.Mutex
		for range 4 {
			wg.Go(func() {
				for {
					got, err := Call(s.Node(), pid, count{By: 1})
					if err != nil {
						return
					}
					mu.Lock()
					acknowledged = max(acknowledged, got)
					mu.Unlock()
				}
			})
		}
		next := p.crash("1.0.0", o) // fences the log under the calls
		wg.Wait()
		got, err := Call(next.Node(), pid, count{})
		if err != nil || got != acknowledged {
			t.Fatalf("it has %d (%v), and %d was acknowledged", got, err, acknowledged)
		}
		s.stop()
		s = next
	}
}

func TestStateWithoutAWayDownIsNotAcknowledged(t *testing.T) {
	p := newPort(t)
	type wide struct{ N int64 }
	b := &Behaviour[wide]{Name: "tally", Persist: true, State: state.Schema[wide]{Version: 2, Steps: []state.AnyStep{
		state.Step[tally, wide]{
			From: 1,
			Up:   func(_ string, v tally, _ []byte) (wide, error) { return wide(v), nil },
			Down: func(_ string, v wide) (tally, []byte, error) {
				if v.N > 10 {
					return tally{}, nil, errors.New("too large")
				}
				return tally(v), nil, nil
			},
		},
	}}}
	OnCall(b, func(_ *Ctx, s *wide, m count) (int64, error) { s.N += m.By; return s.N, nil })
	old := tallyV1(persisting)
	v1 := p.launch("1.0.0", Options{Behaviours: []AnyBehaviour{old}})
	v2 := p.build("2.0.0", Options{Behaviours: []AnyBehaviour{b}})
	pid, err := Start(v1.Node(), old, nil)
	is(t, err, nil)
	v1.switchTo(v2, map[string]int32{"process/tally": 1})
	counts(t, v2.Node(), pid, 10, 10)
	_, err = Call(v2.Node(), pid, count{By: 1})
	is(t, err, state.ErrNoWayDown)
	if v2.store.Stats().Refused == nil {
		t.Error("nobody is told")
	}
}

// Who ends a process ends it under a handler that runs: what that does is not in the log, and nobody is told that it is.
func TestNothingIsAcknowledgedForAProcessThatHasEnded(t *testing.T) {
	p := newPort(t)
	b := tallyV1(persisting, func(b *Behaviour[tally]) {
		OnCall(b, func(c *Ctx, s *tally, _ get) (int64, error) {
			s.N++
			c.p.ended.Store(true) // as in the instant in which it is killed
			return s.N, nil
		})
	})
	s := p.launch("1.0.0", Options{Behaviours: []AnyBehaviour{b}})
	pid, err := Start(s.Node(), b, nil)
	is(t, err, nil)
	if got, err := Call(s.Node(), pid, get{}); err == nil {
		t.Errorf("%d is acknowledged", got)
	}
}

// A node that is closed under a handler leaves the process in the log.
func TestCloseUnderAHandlerLosesNoProcess(t *testing.T) {
	p := newPort(t)
	began, end := make(chan struct{}), make(chan struct{})
	b := tallyV1(persisting, func(b *Behaviour[tally]) {
		OnCall(b, func(c *Ctx, s *tally, _ get) (int64, error) {
			s.N++
			err := c.Save()
			close(began)
			<-end
			return s.N, err
		})
	})
	o := Options{Behaviours: []AnyBehaviour{b}}
	s := p.launch("1.0.0", o)
	pid, err := Start(s.Node(), b, nil)
	is(t, err, nil)
	n := s.Node()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = Call(n, pid, get{})
	}()
	<-began
	running := n.procs.get(pid)
	s.Close()
	is(t, (&Ctx{p: running}).save(), errDead)
	n.erase(running)
	close(end)
	<-done
	counts(t, p.crash("1.0.0", o).Node(), pid, 1, 2)
}

// A name belongs to one process, also after a crash: to the one that had it last.
func TestNamesThatMovedStayWhereTheyAreAfterACrash(t *testing.T) {
	p := newPort(t)
	b := tallyV1(persisting)
	o := Options{Behaviours: []AnyBehaviour{b}}
	s := p.launch("1.0.0", o)
	n := s.Node()
	first, err := Start(n, b, nil, Named("moved"))
	is(t, err, nil)
	second, err := Start(n, b, nil)
	is(t, err, nil)
	is(t, Register(n, "freed", first), nil)
	is(t, Register(n, "both", first), nil)
	Unregister(n, "moved")
	Unregister(n, "freed")
	is(t, Register(n, "moved", second), nil)
	for range 2 {
		s = p.crash("1.0.0", o)
		n = s.Node()
		counts(t, n, second, 0, 0)
		counts(t, n, first, 0, 0)
		if a, b, c := WhereIs(n, "moved"), WhereIs(n, "freed"), WhereIs(n, "both"); a != second || b != 0 || c != first {
			t.Errorf("moved is %s, freed %s, both %s", a, b, c)
		}
		info, err := Inspect(n, first)
		if err != nil || len(info.Names) != 1 {
			t.Errorf("%+v %v", info, err)
		}
	}
	is(t, Halt(n, second, nil), nil)
	n = p.crash("1.0.0", o).Node()
	if WhereIs(n, "moved") != 0 {
		t.Error("the name of a process that has ended is back")
	}
}

// A name that could not be written is nobody's.
func TestNameThatIsNotInTheLogIsNotGiven(t *testing.T) {
	p := newPort(t)
	b := tallyV1(persisting)
	o := Options{Behaviours: []AnyBehaviour{b}}
	s := p.launch("1.0.0", o)
	pid, err := Start(s.Node(), b, nil)
	is(t, err, nil)
	p.crash("1.0.0", o) // fences the log
	if err := Register(s.Node(), "a", pid); err == nil {
		t.Error("it is registered")
	}
	if got := WhereIs(s.Node(), "a"); got != 0 {
		t.Errorf("a is %s", got)
	}
}

// What a process had beside its state is gone with a crash. It must not come back with the switch after it.
func TestMailOfBeforeACrashStaysGone(t *testing.T) {
	p := newPort(t)
	b := tallyV1(persisting, func(b *Behaviour[tally]) {
		OnCast(b, func(_ *Ctx, s *tally, m add) error { s.N += m.By; return nil })
	})
	o := Options{Behaviours: []AnyBehaviour{b}}
	for _, keep := range []bool{false, true} {
		for _, called := range []bool{false, true} {
			v1, v2 := p.launch("1.0.0", o), p.build("2.0.0", o)
			pid, err := Start(v1.Node(), b, nil)
			is(t, err, nil)
			is(t, Suspend(v1.Node(), pid), nil)
			is(t, Cast(v1.Node(), pid, add{1}), nil)
			v1.switchTo(v2, nil) // its mail is in the log
			v3, v4 := p.build("3.0.0", o), p.build("4.0.0", o)
			v3.takeOver(nil, keep) // v2 has crashed
			if called {
				counts(t, v3.Node(), pid, 0, 0)
			}
			v3.letGo()
			v4.takeOver(nil, false)
			info, err := Inspect(v4.Node(), pid)
			if err != nil || info.Mailbox != 0 || info.Suspended {
				t.Errorf("keep %v, called %v: %+v %v", keep, called, info, err)
			}
			counts(t, v4.Node(), pid, 0, 0)
			is(t, Halt(v4.Node(), pid, nil), nil)
		}
	}
}

// A PID that somebody kept names no other process after a crash, however many there were.
func TestPIDsAreNotUsedAgainAfterACrash(t *testing.T) {
	p := newPort(t)
	b := tallyV1(persisting)
	o := Options{Behaviours: []AnyBehaviour{b}}
	s := p.launch("1.0.0", o)
	s.n.procs.mu.Lock()
	s.n.procs.base += 3 * crashGap // as after so many
	s.n.procs.mu.Unlock()
	last, err := Start(s.Node(), b, nil)
	is(t, err, nil)
	refs := s.n.refs.Add(1000)
	is(t, Halt(s.Node(), last, nil), nil)
	s = p.crash("1.0.0", o)
	next, err := Start(s.Node(), b, nil)
	is(t, err, nil)
	if next.generation() <= last.generation() || s.n.refs.Load() <= refs {
		t.Errorf("after %s and ref %d come %s and %d", last, refs, next, s.n.refs.Load())
	}
}

// A state that was replaced, and a process that became one of another behaviour, are in the log like any other change.
func TestChangesFromOutsidePersist(t *testing.T) {
	p := newPort(t)
	b := tallyV1(persisting)
	other := tallyV1(persisting, func(b *Behaviour[tally]) {
		b.Name = "other"
		b.Change = func(_ *Ctx, old, _ any) (tally, error) { return tally{N: old.(tally).N * 10}, nil }
	})
	o := Options{Behaviours: []AnyBehaviour{b, other}}
	s := p.launch("1.0.0", o)
	n := s.Node()
	pid, err := Start(n, b, nil, Named("a"))
	is(t, err, nil)
	is(t, ReplaceState(n, pid, func(s tally) (tally, error) { s.N = 7; return s, nil }), nil)
	s = p.crash("1.0.0", o)
	n = s.Node()
	counts(t, n, pid, 0, 7)
	is(t, Suspend(n, pid), nil)
	is(t, ChangeCode(n, pid, other, nil), nil)
	is(t, Resume(n, pid), nil)
	if rows := s.n.ledger.wards[0].rows.count(); rows != 0 {
		t.Errorf("%d rows of the old behaviour stay", rows)
	}
	s = p.crash("1.0.0", o)
	n = s.Node()
	info, err := Inspect(n, Name("a"))
	if err != nil || info.Behaviour != "other" {
		t.Errorf("%+v %v", info, err)
	}
	counts(t, n, pid, 1, 71)
	is(t, Suspend(n, pid), nil)
	stranger := tallyV1(func(b *Behaviour[tally]) { b.Change = other.Change })
	if err := ChangeCode(n, pid, stranger, nil); err == nil {
		t.Error("it is one of a behaviour that the node does not have")
	}
	is(t, Resume(n, pid), nil)
	counts(t, n, pid, 1, 72)
	is(t, s.Freeze(t.Context()), nil)
}

// A crash in the middle of ChangeCode leaves two rows, and one process.
func TestProcessWithTwoRowsIsOne(t *testing.T) {
	p := newPort(t)
	b := tallyV1(persisting)
	other := tallyV1(persisting, func(b *Behaviour[tally]) { b.Name = "other" })
	o := Options{Behaviours: []AnyBehaviour{b, other}}
	s := p.launch("1.0.0", o)
	pid, err := Start(s.Node(), b, nil)
	is(t, err, nil)
	is(t, s.n.ledger.wards[1].rows.put(pid.key(), &tally{}), nil)
	s = p.crash("1.0.0", o)
	if got := s.Node().Stats().Processes; got != 1 {
		t.Errorf("there are %d processes", got)
	}
	counts(t, s.Node(), pid, 1, 1)
	is(t, Halt(s.Node(), pid, nil), nil)
	s = p.crash("1.0.0", o)
	_, err = Call(s.Node(), pid, count{})
	is(t, err, ErrNoProc)
}

// A caller in a version that sleeps, and becomes the next one after a crash, does not wait for an answer of the dead.
func TestCallerOfAVersionThatCrashesIsTold(t *testing.T) {
	v := newVoyage(t)
	pid := v.start()
	done := make(chan error, 1)
	go func() {
		_, err := Call(v.v1.Node().With(timeout(time.Minute)), pid, hold{})
		done <- err
	}()
	waitFor(t, func() bool { s, _ := GetState[logbook](v.v1.Node(), pid); return len(s.Held) == 1 })
	v.v1.switchTo(v.v2, nil)
	v.v1.takeOver(nil, false) // v2 has crashed
	select {
	case err := <-done:
		is(t, err, ErrKilled)
	case <-time.After(5 * time.Second):
		t.Error("it waits")
	}
}

// Names go on through a crash and the switch after it, also of those that nobody has called in between.
func TestNamesAfterACrashAndASwitch(t *testing.T) {
	p := newPort(t)
	b := tallyV1(persisting)
	o := Options{Behaviours: []AnyBehaviour{b}}
	s := p.launch("1.0.0", o)
	a, err := Start(s.Node(), b, nil, Named("a"))
	is(t, err, nil)
	_, err = Start(s.Node(), b, nil, Named("b"))
	is(t, err, nil)
	for i, keep := range []bool{true, false} {
		s = p.build("1.0.0", o)
		s.takeOver(nil, keep)
		counts(t, s.Node(), Name("a"), 1, int64(2*i+1))
		next := p.build("2.0.0", o)
		s.letGo()
		next.takeOver(nil, false)
		counts(t, next.Node(), Name("a"), 1, int64(2*i+2))
		counts(t, next.Node(), Name("b"), 1, int64(i+1))
		if WhereIs(next.Node(), "a") != a {
			t.Error("a is", WhereIs(next.Node(), "a"))
		}
	}
}
