package upgrades

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/release"
)

// flight is one upgrade under way. One goroutine runs it; others only watch it or ask it to go back.
type flight struct {
	e        *Engine
	id       uint64
	from, to string
	by       string
	plan     control.Plan
	moves    []*move
	taken    bool // from the host
	resumed  bool // after a crash: what the processes last did is not known

	feeds feeds
	asked chan struct{} // closed when somebody wants to go back
	once  sync.Once
	askBy string

	approved chan struct{} // closed when somebody wants the probation to end well
	approve  sync.Once
	approver string

	trialMu sync.Mutex
	trials  map[string]control.Trial // by service, in a probation
	due     time.Time                // the end of the probation that began last

	ready chan struct{} // closed when each service has its active instance again, or at the end; used by recovery
	done  chan struct{} // closed at the end
	err   error         // how it ended; read after done
	last  State         // that was journaled; likewise
}

// move is one service in the course of a flight.
type move struct {
	change
	from, to release.Package // as far as the change has them
	old, new Instance        // nil while there is none

	paired, shadowed bool     // the old version is joined with the new one, writes older shapes
	loose            bool     // the old version may have let go
	mute             bool     // it did not answer when it was to
	served           bool     // the new version may have been active
	stuck            bool     // the new version did not take over: nobody knows what it does now
	heir             Instance // the process of the old version to which the new one has let go
	pause            time.Duration

	below     Rehearsal // what the old version's rehearsal of the way down has shown
	belowTook time.Duration
}

// alive is true while the process has not ended.
func alive(in Instance) bool {
	if in == nil {
		return false
	}
	select {
	case <-in.Done():
		return false
	default:
		return true
	}
}

// answers is false for a process that is silent for long: it has died in all but name.
func answers(ctx context.Context, in Instance) bool {
	_, err := status(ctx, in)
	return err == nil || !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil
}

// status asks an instance what it does.
func status(ctx context.Context, in Instance) (s Status, err error) {
	err = within(ctx, statusBudget, func(ctx context.Context) error {
		s, err = in.Status(ctx)
		return err
	})
	return s, err
}

func (e *Engine) newFlight(u *underway, from, to packages) *flight {
	f := &flight{
		e: e, id: u.id, from: u.from, to: u.to, by: u.by, plan: u.plan,
		asked: make(chan struct{}), approved: make(chan struct{}), ready: make(chan struct{}), done: make(chan struct{}),
	}
	for _, c := range u.changes {
		f.moves = append(f.moves, &move{change: c, from: from[c.Service], to: to[c.Service]})
	}
	return f
}

// launch runs the flight beside its caller, to its end.
func (f *flight) launch(run func(ctx context.Context) error) {
	f.err = ErrClosed // unless run returns
	go func() {
		defer f.end()
		f.err = run(f.e.life)
	}()
}

func (f *flight) end() {
	f.e.mu.Lock()
	defer f.e.mu.Unlock()
	if f.e.flight == f {
		f.e.flight = nil
	}
	f.settled()
	close(f.done)
}

// settled tells recovery that each service has its active instance.
func (f *flight) settled() {
	select {
	case <-f.ready:
	default:
		close(f.ready)
	}
}

// watch hands the flight's events to emit until its end or until ctx ends; the flight goes on in that case.
func (f *flight) watch(ctx context.Context, to *feed, emit func(control.Event)) error {
	return f.watchUntil(ctx, to, nil, emit)
}

// watchHeld is watch that has seen enough once the probation waits for a person.
func (f *flight) watchHeld(ctx context.Context, to *feed, emit func(control.Event)) error {
	return f.watchUntil(ctx, to, f.ready, emit)
}

func (f *flight) watchUntil(ctx context.Context, to *feed, held <-chan struct{}, emit func(control.Event)) error {
	defer f.feeds.remove(to)
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-held:
			if f.state() == Probation {
				f.drain(to, emit)
				return nil
			}
			held = nil // it went back: its end tells
		case <-to.wake:
			f.drain(to, emit)
		case <-f.done:
			f.drain(to, emit)
			return f.err
		}
	}
}

func (f *flight) drain(to *feed, emit func(control.Event)) {
	for _, ev := range f.feeds.take(to) {
		if emit != nil {
			emit(ev)
		}
	}
}

// goBack asks the flight to go back, once.
func (f *flight) goBack(by string) {
	f.once.Do(func() {
		f.askBy = by
		close(f.asked)
	})
}

// askedError is why a flight goes back when somebody asked for it.
type askedError struct{ by string }

func (e *askedError) Error() string {
	if e.by == "" {
		return "a rollback was asked for"
	}
	return e.by + " asked for a rollback"
}

// has is true if the flight changes this service.
func (f *flight) has(service string) bool {
	for _, m := range f.moves {
		if m.Service == service {
			return true
		}
	}
	return false
}

// services that the flight changes.
func (f *flight) services() []string {
	list := make([]string, 0, len(f.moves))
	for _, m := range f.moves {
		list = append(list, m.Service)
	}
	return list
}

// state is what the journal says of this flight.
func (f *flight) state() (s State) {
	f.e.read(func(r *registry) {
		if r.upgrade != nil {
			s = r.upgrade.state
		}
	})
	return s
}

// event begins an event of this flight.
func (f *flight) event(kind string) control.Event {
	return control.Event{Kind: kind, Upgrade: f.id, From: f.from, To: f.to, By: f.by}
}

// journal writes a record of this flight and tells those who watch.
func (f *flight) journal(rec record) error {
	ev, err := f.e.append(rec)
	if err == nil {
		f.feeds.send(ev)
	}
	return err
}

// tell reports progress, which is not journaled.
func (f *flight) tell(m *move, kind, text string) {
	ev := f.event(kind)
	ev.Time, ev.Service, ev.Text = time.Now().UTC(), m.Service, text
	f.feeds.send(ev)
}

// progress reports how far a long step is.
func (f *flight) progress(m *move, kind string) func(Progress) {
	return func(p Progress) {
		ev := f.event(kind)
		ev.Time, ev.Service, ev.Done, ev.Total = time.Now().UTC(), m.Service, p.Done, p.Total
		f.feeds.send(ev)
	}
}

// call runs one step of one service within its budget; an error says which.
func (f *flight) call(ctx context.Context, m *move, step string, budget time.Duration,
	do func(ctx context.Context) error,
) error {
	err := within(ctx, budget, do)
	if err == nil {
		return nil
	}
	var e *StepError
	if errors.As(err, &e) {
		return err
	}
	e = &StepError{Service: m.Service, Step: step, Err: err}
	var late *lateError
	var taken *ListenError
	key := budgetKeys[step]
	switch {
	case errors.As(err, &taken) && !errors.As(err, &late):
		e.Hint = taken.Hint(m.Service)
	case key != "" && errors.As(err, &late):
		e.Hint = fmt.Sprintf("if it needs more time, raise %s in [budget] of appup.toml of %s", key, m.Service)
	}
	return e
}

// kill ends a process by force and waits until it is gone; what is not gone then is past help, and the log is fenced
// against it. When ctx has ended already, because the engine was closed, everything stays as it is.
func kill(ctx context.Context, in Instance) {
	if !alive(in) || ctx.Err() != nil {
		return
	}
	_ = within(ctx, forceBudget, in.Stop)
	t := time.NewTimer(switchBudget)
	defer t.Stop()
	select {
	case <-in.Done():
	case <-t.C:
	case <-ctx.Done():
	}
}
