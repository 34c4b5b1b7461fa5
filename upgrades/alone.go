package upgrades

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// errYields is why a rehearsal ends when somebody wants an upgrade or a rollback.
var errYields = errors.New("an upgrade begins")

// trial is a rehearsal that is under way by itself.
type trial struct {
	to   string
	end  context.CancelCauseFunc
	done chan struct{}
}

// Rehearse does what an upgrade to a release does before its switch, and no more: each new version is started as a
// standby, takes every live row up and down again, and ends. On the way down the version that serves takes its rows
// down and up again. It goes through all services and returns the first failure. Nothing is switched, and nothing is
// journaled, so that a crash leaves nothing but processes that Boot ends. It ends with ctx, and yields to an upgrade.
func (e *Engine) Rehearse(ctx context.Context, req control.UpgradeRequest, emit func(control.Event)) error {
	f, t, err := e.takeUp(ctx, req)
	if err != nil {
		return err
	}
	life, end := context.WithCancelCause(e.life)
	t.end = end
	stop := context.AfterFunc(ctx, func() { end(context.Cause(ctx)) })
	defer stop()
	defer end(nil)
	to := f.feeds.add()
	e.mu.Lock()
	e.trial = t
	e.mu.Unlock()
	e.depart.Unlock()
	f.launch(func(context.Context) error {
		defer e.lay(t)
		return f.rehearseAlone(life)
	})
	return f.watch(ctx, to, emit)
}

// takeUp plans; if it returns no error the caller has to unlock depart.
func (e *Engine) takeUp(ctx context.Context, req control.UpgradeRequest) (f *flight, t *trial, err error) {
	e.depart.Lock()
	defer func() {
		if err != nil {
			e.depart.Unlock()
		}
	}()
	if err := e.free(); err != nil {
		return nil, nil, err
	}
	if t := e.tried(); t != nil {
		return nil, nil, e.refuse(codeBusy, "a rehearsal of "+t.to+" is under way", "wait for its end")
	}
	d, err := e.drawPlan(ctx, control.PlanRequest{To: req.To})
	if err != nil {
		return nil, nil, err
	}
	if err := e.fits(d); err != nil {
		return nil, nil, err
	}
	u := &underway{from: d.plan.From, to: d.plan.To, by: req.By, plan: d.plan, changes: d.changes}
	return e.newFlight(u, d.from, d.to), &trial{to: d.plan.To, done: make(chan struct{})}, nil
}

func (e *Engine) tried() *trial {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.trial
}

// lay ends a trial.
func (e *Engine) lay(t *trial) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.trial = nil
	close(t.done)
}

// endTrial makes a rehearsal yield, and returns when nothing of it is left.
func (e *Engine) endTrial() {
	if t := e.tried(); t != nil {
		t.end(errYields)
		<-t.done
	}
}

// rehearseAlone goes through the services one after another, so that there is one standby at a time.
func (f *flight) rehearseAlone(ctx context.Context) error {
	err := f.verify(ctx)
	var first error
	for _, m := range f.moves {
		if err != nil || ctx.Err() != nil {
			break
		}
		if failed := f.rehearseOne(ctx, m); failed != nil && first == nil {
			first = failed
		}
	}
	switch cause := context.Cause(ctx); {
	case err != nil:
		return f.unfit(err)
	case f.e.closed() != nil:
		return f.e.closed()
	case errors.Is(cause, errYields):
		return f.e.refuse(codeBusy, fmt.Sprintf("the rehearsal of %s was ended: %v", f.to, cause), "rehearse again when that is done")
	case cause != nil:
		return cause
	case first != nil:
		return f.unfit(first)
	}
	return nil
}

func (f *flight) unfit(cause error) *control.Error {
	e := f.failure(codeRehearsal, "rehearsed and not fit", cause)
	e.Code, e.Message = codeRehearsal, fmt.Sprintf("%s is not fit: %v", f.to, cause)
	var step *StepError
	if !errors.As(cause, &step) || step.Hint == "" {
		e.Hint = "nothing was changed"
	}
	return e
}

// rehearseOne reports what it finds.
func (f *flight) rehearseOne(ctx context.Context, m *move) error {
	began := time.Now()
	r, text, err := f.tryOut(ctx, m)
	ev := f.event(string(Rehearsed))
	ev.Time, ev.Service, ev.Text, ev.Done, ev.Total = time.Now().UTC(), m.Service, text, r.Rows, r.Rows
	ev.Took = time.Since(began).Seconds()
	ev.Detail = map[string]any{"version": m.To, "rows": r.Rows, "changed": r.Changed, "lossy": r.Lossy, "ok": err == nil}
	if err != nil {
		ev.Reason = err.Error()
	}
	if ctx.Err() == nil {
		f.feeds.send(ev)
	}
	return err
}

// tryOut starts the new version, rehearses and ends it. On the way down the new version, which is the older one, could
// not read what is there: only an upgrade has it written in its shapes.
func (f *flight) tryOut(ctx context.Context, m *move) (r Rehearsal, text string, err error) {
	switch m.Do {
	case doStop:
		return r, m.From + " goes: nothing to rehearse", nil
	case doRestart:
		return r, fmt.Sprintf("not rehearsed: %s is stopped before %s starts", m.From, m.To), nil
	}
	m.old = f.e.serving(ctx, m.Service)
	if versions := f.below(m); len(versions) > 0 {
		if m.old == nil {
			err = fmt.Errorf("%s does not serve, and only that version knows the way down: %w", m.From, ErrGone)
			return r, "", &StepError{Service: m.Service, Step: stepServe, Err: err}
		}
		err = f.rehearseDown(ctx, m, versions)
		return m.below, rehearsed(m.below, m.below), err
	}
	defer f.endStandby(m)
	f.tell(m, "starting", m.To)
	if err = f.bringUp(ctx, m); err != nil {
		return r, "", err
	}
	if r, _, err = f.rehearse(ctx, m); err != nil {
		return r, "", err
	}
	return r, rehearsed(r, Rehearsal{}), nil
}

// below are the older shapes of the version to come.
func (f *flight) below(m *move) map[string]int32 {
	if m.old == nil {
		return shadows(m.from.Describe, m.to.Describe)
	}
	return shadows(m.old.Describe(), m.to.Describe)
}

// endStandby ends what was started, also when the rehearsal was ended; but not when the engine was closed.
func (f *flight) endStandby(m *move) {
	f.stop(f.e.life, m, m.new)
	if m.Do == doStart {
		f.e.host.Give(m.Service, nil)
	}
}

// serving is the active process of a service, without taking it; nil if there is none.
func (e *Engine) serving(ctx context.Context, service string) Instance {
	for _, in := range e.host.Instances(service) {
		if s, err := status(ctx, in); err == nil && s.Role == Active {
			return in
		}
	}
	return nil
}
