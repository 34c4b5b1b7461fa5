package upgrades

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// restless is a version that did nothing as it was to settle: it goes on as in a probation, with an older shape of each
// change and a log that is not compacted, until it has heard that the probation is over.
type restless struct {
	in   Instance
	ask  *asking       // under way, nil if none is
	done chan struct{} // closed when nobody asks it any more
}

// asking is one try.
type asking struct {
	end  context.CancelCauseFunc
	done chan struct{}
}

// settle ends the probation of a version that serves. One that does not hear of it is asked again.
func (e *Engine) settle(ctx context.Context, in Instance) {
	if !alive(in) {
		return
	}
	err := within(ctx, settleBudget, in.Settle)
	switch {
	case err == nil:
		e.settledAtLast(in)
	case alive(in) && e.closed() == nil:
		e.log.Warn("a version goes on as in a probation, and will be told again that it is over", "service", in.Package().Name, "process", in.ID(), "error", err)
		e.Unsettled(in)
	}
}

// Unsettled has a version that serves settle later: it is asked until it has, or is gone, but not while an upgrade has
// its service, which settles whom it leaves. Boot settles every version, so none is forgotten by a next daemon.
func (e *Engine) Unsettled(in Instance) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed() != nil || e.restless[in.ID()] != nil {
		return
	}
	r := &restless{in: in, done: make(chan struct{})}
	e.restless[in.ID()] = r
	go e.chase(r)
}

// Notes tells of versions that go on as in a probation though it is over.
func (e *Engine) Notes() (list []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.restless {
		p := r.in.Package()
		list = append(list, fmt.Sprintf("%s %s goes on as in a probation: it does not answer that it is over, and is asked again; its log is not compacted meanwhile", p.Name, p.Version))
	}
	slices.Sort(list)
	return list
}

// chase asks one again and again.
func (e *Engine) chase(r *restless) {
	defer e.lost(r)
	for wait := settleFirst; ; wait = min(2*wait, settleLast) {
		select {
		case <-time.After(wait):
		case <-r.in.Done():
			return
		case <-e.life.Done():
			return
		}
		if over := e.askAgain(r); over {
			return
		}
	}
}

// askAgain is true once there is nothing to ask for any more.
func (e *Engine) askAgain(r *restless) (over bool) {
	ctx, end := context.WithCancelCause(e.life)
	defer end(nil)
	a := &asking{end: end, done: make(chan struct{})}
	defer close(a.done)
	e.mu.Lock()
	over, busy := e.restless[r.in.ID()] != r, e.flight.flies(r.in.Package().Name)
	if !over && !busy {
		r.ask = a
	}
	e.mu.Unlock()
	if over || busy {
		return over
	}
	err := within(ctx, settleBudget, r.in.Settle)
	if err == nil {
		e.log.Info("a version has settled at last", "service", r.in.Package().Name, "process", r.in.ID())
	}
	return err == nil || errors.Is(err, ErrGone)
}

// lost ends a chase.
func (e *Engine) lost(r *restless) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.restless[r.in.ID()] == r {
		delete(e.restless, r.in.ID())
	}
	close(r.done)
}

// settledAtLast forgets that a version is to be asked again.
func (e *Engine) settledAtLast(in Instance) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.restless, in.ID())
}

// leaveInPeace ends what is being asked of the services of a flight, which has them from now on, and returns when nothing
// of it is under way.
func (e *Engine) leaveInPeace(f *flight) {
	e.mu.Lock()
	var asked []*asking
	for _, r := range e.restless {
		if r.ask != nil && f.has(r.in.Package().Name) {
			asked = append(asked, r.ask)
		}
	}
	e.mu.Unlock()
	for _, a := range asked {
		a.end(errYields)
		<-a.done
	}
}

// leaveAll returns when nobody is asked any more. The engine is closed.
func (e *Engine) leaveAll() {
	e.mu.Lock()
	var list []*restless
	for _, r := range e.restless {
		list = append(list, r)
	}
	e.mu.Unlock()
	for _, r := range list {
		<-r.done
	}
}
