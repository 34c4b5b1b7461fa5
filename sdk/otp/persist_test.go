package otp

import (
	"errors"
	"fmt"
	"sync"
	"testing"

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
	s.Node().Unregister("p4")
	for generation := int64(1); generation < 4; generation++ {
		s = p.crash("1.0.0", o)
		n := s.Node()
		if got := n.Stats().Processes; got != 99 {
			t.Errorf("%d processes came back", got)
		}
		_, err := Call(n, pids[3], count{})
		is(t, err, ErrNoProc)
		if n.WhereIs("p3") != 0 || n.WhereIs("p4") != 0 || n.WhereIs("p5") != pids[5] {
			t.Error("names are", n.WhereIs("p3"), n.WhereIs("p4"), n.WhereIs("p5"))
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
