package otp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/state"
)

// port is a state log that versions of one service share.
type port struct {
	t   *testing.T
	dir string
}

// ship is one version of the service in this program.
type ship struct {
	*Hosted
	t     *testing.T
	store *state.Store
	stop  func()
}

func newPort(t *testing.T) *port { t.Helper(); return &port{t, t.TempDir()} }

// build opens a version as a standby.
func (p *port) build(version string, o Options) *ship {
	p.t.Helper()
	log := slog.New(slog.DiscardHandler)
	store, err := state.Open(p.dir, state.Options{Logger: log})
	if err != nil {
		p.t.Fatal(err)
	}
	h, err := Host(store, version, log, o)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := store.Load(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = store.Follow(ctx)
	}()
	s := &ship{Hosted: h, t: p.t, store: store}
	closed := false
	s.stop = func() {
		if closed {
			return
		}
		closed = true
		h.Close()
		cancel()
		<-over
		if err := store.Close(); err != nil {
			p.t.Error(err)
		}
	}
	p.t.Cleanup(s.stop)
	return s
}

// launch builds a version and makes it the one that is awake, as after a crash of any other.
func (p *port) launch(version string, o Options) *ship {
	p.t.Helper()
	s := p.build(version, o)
	s.takeOver(nil, false)
	return s
}

func (s *ship) takeOver(shadows map[string]int32, keep bool) {
	s.t.Helper()
	if _, err := s.store.Activate(s.t.Context(), shadows); err != nil {
		s.t.Fatal(err)
	}
	if err := s.Wake(s.t.Context(), keep); err != nil {
		s.t.Fatal(err)
	}
}

func (s *ship) letGo() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	if err := errors.Join(s.Keep(ctx, func(uint64, uint64) {}), s.Freeze(ctx), s.store.Release()); err != nil {
		s.t.Fatal(err)
	}
}

// switchTo is an upgrade or its way back, with the shapes that the other version reads.
func (s *ship) switchTo(next *ship, shadows map[string]int32) {
	s.t.Helper()
	s.letGo()
	next.takeOver(shadows, true)
}

// The service of these tests: counters, whose second version has a note as well.

type (
	tally  struct{ N int64 }
	tally2 struct {
		N    int64
		Note string
	}
	count struct {
		Reply[int64]
		By int64
	}
)

func tallyV1(more ...func(b *Behaviour[tally])) *Behaviour[tally] {
	b := &Behaviour[tally]{Name: "tally", State: state.Schema[tally]{Version: 1}}
	OnCall(b, func(_ *Ctx, s *tally, m count) (int64, error) { s.N += m.By; return s.N, nil })
	for _, f := range more {
		f(b)
	}
	return b
}

func tallyV2() *Behaviour[tally2] {
	b := &Behaviour[tally2]{Name: "tally", State: state.Schema[tally2]{Version: 2, Steps: []state.AnyStep{
		state.Add{From: 1, Fields: map[string]any{"Note": "new"}},
	}}}
	OnCall(b, func(_ *Ctx, s *tally2, m count) (int64, error) { s.N += m.By; s.Note += "+"; return s.N, nil })
	return b
}

func counts(t *testing.T, n *Node, to Addr, by, want int64) {
	t.Helper()
	if got, err := Call(n, to, count{By: by}); err != nil || got != want {
		t.Errorf("it counts %d (%v), want %d", got, err, want)
	}
}

func TestStatesGoOnInTheNextVersionAndBack(t *testing.T) {
	p := newPort(t)
	b1, b2 := tallyV1(), tallyV2()
	v1 := p.launch("1.0.0", Options{Behaviours: []AnyBehaviour{b1}})
	var pids []PID
	for i := range 1000 {
		pid, err := Start(v1.Node(), b1, nil, Named(Name(fmt.Sprint("t", i))))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
		counts(t, v1.Node(), pid, int64(i), int64(i))
	}
	is(t, Halt(v1.Node(), pids[7], nil), nil)
	v2 := p.build("2.0.0", Options{Behaviours: []AnyBehaviour{b2}})
	older := map[string]int32{"process/tally": 1}
	add := int64(0)
	for range 3 {
		v1.switchTo(v2, older)
		if _, err := Call(v1.Node(), pids[1], count{By: 1}); !errors.Is(err, ErrAsleep) {
			t.Errorf("the old version answers: %v", err)
		}
		add++
		for i, pid := range pids {
			if i == 7 {
				_, err := Call(v2.Node(), pid, count{By: 1})
				is(t, err, ErrNoProc)
				continue
			}
			counts(t, v2.Node(), pid, 1, int64(i)+add)
		}
		counts(t, v2.Node(), Name("t999"), 0, 999+add)
		if s, err := GetState[tally2](v2.Node(), pids[0]); err != nil || s.Note[:4] != "new+" {
			t.Errorf("%+v %v", s, err)
		}
		if got := v2.Node().Stats().Processes; got != 999 {
			t.Errorf("there are %d processes", got)
		}
		v2.switchTo(v1, nil)
		add++
		for i, pid := range pids[8:] {
			counts(t, v1.Node(), pid, 1, int64(i+8)+add)
		}
		for i, pid := range pids[:7] {
			counts(t, v1.Node(), pid, 1, int64(i)+add)
		}
	}
}

// closing is a caller that comes just as its node is closed.
type closing struct{ *Node }

func (c closing) caller() *Ctx { c.Close(); return nil }

// A process that was started just then went on without its node.
func TestStartWhileTheNodeCloses(t *testing.T) {
	b := tallyV1()
	v := newPort(t).launch("1.0.0", Options{Behaviours: []AnyBehaviour{b}})
	_, err := Start(closing{v.Node()}, b, nil, Named("late"))
	is(t, err, ErrShutdown)
	if got := v.Node().Stats().Processes; got != 0 {
		t.Errorf("%d processes live", got)
	}
}
