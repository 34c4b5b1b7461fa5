package otp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/state"
)

// narrow is a second version of tally whose state the first one cannot hold if it is large.
type narrow struct{ N int64 }

func narrowing() *Behaviour[narrow] {
	b := &Behaviour[narrow]{Name: "tally", State: state.Schema[narrow]{Version: 2, Steps: []state.AnyStep{
		state.Step[tally, narrow]{
			From: 1,
			Up:   func(_ string, v tally, _ []byte) (narrow, error) { return narrow(v), nil },
			Down: func(_ string, v narrow) (tally, []byte, error) {
				if v.N > 10 {
					return tally{}, nil, errors.New("too large")
				}
				return tally(v), nil, nil
			},
		},
	}}}
	OnCall(b, func(_ *Ctx, s *narrow, m count) (int64, error) { s.N += m.By; return s.N, nil })
	return b
}

// A process that ends in the freeze, as its state has no way down, is an end like any other: those that watch it and are
// linked with it learn of it, in whichever order they are written.
func TestEndInTheFreezeIsTold(t *testing.T) {
	p := newPort(t)
	old, wide, logs := tallyV1(), narrowing(), logbooks()
	frail := func(b *Behaviour[logbook]) { b.Name, b.TrapExit = "frail", false }
	mortal := logbooks(frail)
	v1 := p.launch("1.0.0", Options{Behaviours: []AnyBehaviour{old, logs, mortal}})
	v2 := p.build("2.0.0", Options{Behaviours: []AnyBehaviour{wide, logs, mortal}})
	v1.switchTo(v2, tallyShadow)
	n := v2.Node()
	v2.Settle() // every process is listed when it is kept again
	large, err := Start(n, wide, nil)
	is(t, err, nil)
	var refs []Ref
	var watching, linked, dying []PID
	for range 20 {
		for list, b := range map[*[]PID]*Behaviour[logbook]{&watching: logs, &linked: logs, &dying: mortal} {
			pid, err := Start(n, b, nil)
			is(t, err, nil)
			*list = append(*list, pid)
		}
	}
	for i, pid := range watching {
		ref, err := Call(n, pid, watch{PID: large})
		is(t, err, nil)
		refs = append(refs, ref)
		for _, pid := range []PID{linked[i], dying[i]} {
			_, err = Call(n, pid, watch{PID: large, Link: true})
			is(t, err, nil)
		}
	}
	if got, err := Call(n, large, count{By: 11}); got != 11 || err != nil {
		t.Fatal(got, err)
	}
	if err := v2.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	is(t, v2.store.Release(), nil)
	v1.takeOver(nil, true)
	n = v1.Node()
	_, err = Call(n, large, count{})
	is(t, err, ErrNoProc)
	for i := range watching {
		if got := lines(t, n, watching[i]); len(got) != 1 || got[0][:len("down ")] != "down " || refs[i] == 0 {
			t.Errorf("%s reads %q", watching[i], got)
		}
		if got := lines(t, n, linked[i]); len(got) != 1 || got[0][:len("exited ")] != "exited " {
			t.Errorf("%s reads %q", linked[i], got)
		}
		_, err := Call(n, dying[i], all{})
		is(t, err, ErrNoProc)
	}
	if got := n.Stats().Processes; got != 40 {
		t.Errorf("there are %d processes", got)
	}
}

// A process that is about to end counts as one that runs until all are told: who is told later could not be written any
// more, and the number of processes would be one too high in the next version.
func TestFreezeAwaitsAnEndThatIsNotOver(t *testing.T) {
	v := newVoyage(t, func(b *Behaviour[logbook]) { b.TrapExit = false })
	for _, kept := range []bool{false, true} {
		n := v.v1.Node()
		ends, sees := v.start(), v.start()
		telling, tell := make(chan struct{}), make(chan struct{})
		n.procs.get(ends).watch(watcher{tell: func(error) { close(telling); <-tell }})
		_, err := Call(n, sees, watch{PID: ends})
		is(t, err, nil)
		if kept {
			is(t, v.v1.Keep(t.Context(), func(uint64, uint64) {}), nil)
		}
		SendExit(n, ends, errCrash)
		<-telling
		if err := v.v1.Freeze(timeout(50 * time.Millisecond)); err == nil {
			t.Error("it freezes in the middle of an end")
		}
		close(tell)
		is(t, v.v1.Freeze(t.Context()), nil)
		if b, _ := v.v1.n.ledger.books.Get(bookKey); b.Live != v.v1.n.procs.live.Load() || n.procs.get(ends) != nil {
			t.Errorf("the log counts %d processes", b.Live)
		}
		is(t, v.v1.Thaw(), nil)
		v.v1.Settle()
		if got := lines(t, n, sees); len(got) != 1 {
			t.Errorf("it reads %q", got)
		}
	}
}

// The process that keeps a freeze is named also when the time was up before it began.
func TestLateFreezeNamesTheProcess(t *testing.T) {
	began, end := make(chan struct{}), make(chan struct{})
	b := tallyV1()
	OnCast(b, func(*Ctx, *tally, lateWork) error { close(began); <-end; return nil })
	v := newPort(t).launch("1.0.0", Options{Behaviours: []AnyBehaviour{b}})
	pid, err := Start(v.Node(), b, nil)
	is(t, err, nil)
	is(t, Cast(v.Node(), pid, lateWork{}), nil)
	<-began
	late, stop := context.WithCancel(t.Context())
	stop()
	is(t, v.Keep(t.Context(), func(uint64, uint64) {}), nil)
	for range 50 {
		if err := v.Freeze(late); err == nil || !strings.Contains(err.Error(), pid.String()) {
			t.Fatalf("%v, want the process %s", err, pid)
		}
	}
	close(end)
	is(t, v.Freeze(t.Context()), nil)
}

type lateWork struct{}

// What happens to a process while its node is frozen must not list it twice: it would wait for itself at the next freeze.
func TestProcessThatIsTouchedWhileFrozen(t *testing.T) {
	v := newVoyage(t)
	var pids []PID
	for i := range 3 {
		pids = append(pids, v.start())
		is(t, Cast(v.v1.Node(), pids[i], note{fmt.Sprint(i)}), nil)
	}
	for range 3 {
		is(t, v.v1.Freeze(t.Context()), nil)
		for _, pid := range pids {
			v.v1.n.procs.get(pid).watch(watcher{tell: func(error) {}})
		}
		is(t, v.v1.Thaw(), nil)
	}
	is(t, v.v1.Freeze(v.v1.Node().With(timeout(1e9))), nil)
}

type query struct{ PID PID }

// A handler that hangs as the service stops costs its own process, not those of all others; one that only waits for it is
// let go. What persists stays in the log, without the message that it hung on.
func TestLeaveUnderAHandlerThatHangs(t *testing.T) {
	p := newPort(t)
	hung, end := make(chan struct{}, 2), make(chan struct{})
	defer close(end)
	hangs := func(b *Behaviour[tally]) {
		OnCast(b, func(_ *Ctx, s *tally, _ add) error { s.N += 100; hung <- struct{}{}; <-end; return nil })
	}
	kept, lost := tallyV1(persisting, hangs), tallyV1(hangs, func(b *Behaviour[tally]) { b.Name = "lost" })
	logs := logbooks(func(b *Behaviour[logbook]) {
		OnCast(b, func(c *Ctx, s *logbook, m query) error {
			_, err := Call(c, m.PID, count{})
			s.Lines = append(s.Lines, fmt.Sprint(errors.Is(err, ErrNoProc)))
			return nil
		})
	})
	o := Options{Behaviours: []AnyBehaviour{kept, lost, logs}}
	s := p.launch("1.0.0", o)
	n := s.Node()
	a, err := Start(n, kept, nil, Named("a"))
	is(t, err, nil)
	counts(t, n, a, 3, 3)
	b, err := Start(n, lost, nil, Named("b"))
	is(t, err, nil)
	waits, err := Start(n, logs, nil, Named("waits"))
	is(t, err, nil)
	for _, pid := range []PID{a, b} {
		is(t, Cast(n, pid, add{}), nil)
		is(t, Cast(n, pid, add{}), nil) // waits behind it
		<-hung
	}
	is(t, Cast(n, waits, query{b}), nil)
	waitFor(t, func() bool { return n.procs.get(waits).waits.Load() != nil })
	ctx := timeout(50 * time.Millisecond)
	if err := s.Freeze(ctx); err == nil {
		t.Fatal("it freezes")
	}
	is(t, s.Leave(timeout(50*time.Millisecond)), nil)
	s.stop()
	n = p.launch("1.0.0", o).Node()
	counts(t, n, Name("a"), 1, 4)
	if WhereIs(n, "a") != a || WhereIs(n, "b") != 0 {
		t.Errorf("a is %s, b %s", WhereIs(n, "a"), WhereIs(n, "b"))
	}
	reads(t, n, Name("waits"), "true")
}

// So does an Init that hangs, which cost all of them.
func TestLeaveUnderAnInitThatHangs(t *testing.T) {
	p := newPort(t)
	hung, end := make(chan struct{}, 2), make(chan struct{})
	hangs := func(name string) func(b *Behaviour[tally]) {
		return func(b *Behaviour[tally]) {
			b.Name, b.Init = name, func(*Ctx, any) (tally, error) { hung <- struct{}{}; <-end; return tally{}, nil }
		}
	}
	well, hung1, hung2 := tallyV1(), tallyV1(hangs("lost")), tallyV1(hangs("unborn"), persisting)
	o := Options{Behaviours: []AnyBehaviour{well, hung1, hung2}}
	s := p.launch("1.0.0", o)
	n := s.Node()
	_, err := Start(n, well, nil, Named("a"))
	is(t, err, nil)
	counts(t, n, Name("a"), 3, 3)
	started := make(chan error)
	for name, b := range map[Name]*Behaviour[tally]{"b": hung1, "c": hung2} {
		go func() {
			_, err := Start(n, b, nil, Named(name))
			started <- err
		}()
		<-hung
	}
	if err := s.Freeze(timeout(50 * time.Millisecond)); err == nil {
		t.Error("it freezes")
	}
	is(t, s.Leave(timeout(50*time.Millisecond)), nil)
	s.stop()
	close(end)
	for range 2 {
		<-started
	}
	n = p.launch("1.0.0", o).Node()
	counts(t, n, Name("a"), 1, 4)
	if b, c := WhereIs(n, "b"), WhereIs(n, "c"); b != 0 || c != 0 || n.Stats().Processes != 1 {
		t.Errorf("b is %s, c %s, there are %d", b, c, n.Stats().Processes)
	}
}

// A process that cannot be read is not one that never comes to rest.
func TestProcessThatCannotBeReadIsNoObstacle(t *testing.T) {
	v := newVoyage(t)
	pid := v.start()
	v.v1.letGo()
	if _, err := v.v2.store.Activate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	bad := baggage{Timers: []alarm{{ID: 1, Message: letter{Name: "note", Body: []byte{0xff}}}}}
	is(t, v.v2.n.ledger.putBag(pid.key(), bad), nil)
	is(t, v.v2.Wake(t.Context(), true), nil)
	_, err := Call(v.v2.Node(), pid, all{})
	is(t, err, ErrNoProc)
	is(t, v.v2.Freeze(timeout(5*time.Second)), nil)
}

// A handler that goes on although its process was killed belongs to no freeze: it calls nobody, and sends nothing to a node
// that sleeps.
func TestOrphanOfANodeThatSleeps(t *testing.T) {
	hung, freeze, sent := make(chan struct{}), make(chan struct{}), make(chan [2]error)
	var other PID
	v := newVoyage(t, func(b *Behaviour[logbook]) {
		OnCast(b, func(c *Ctx, _ *logbook, _ add) error {
			close(hung)
			<-freeze
			_, err := Call(c, other, all{})
			sent <- [2]error{err, Cast(c, other, note{"stray"})}
			return nil
		})
	})
	n := v.v1.Node()
	orphan := v.start()
	other = v.start()
	is(t, Cast(n, orphan, add{}), nil)
	<-hung
	SendExit(n, orphan, ErrKilled)
	is(t, v.v1.Freeze(t.Context()), nil)
	close(freeze)
	errs := <-sent
	is(t, errs[0], ErrNoProc)
	is(t, errs[1], ErrAsleep)
	is(t, v.v1.Thaw(), nil)
	reads(t, n, other)
}
