package upgrades

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/theseusd/theseus/sdk/control"
)

// Upgrade takes the instance to a release. It returns nil when that is permanent, or held in its probation if the request
// says so, and a *control.Error when it was refused, aborted or rolled back. If ctx ends first it returns its cause and the upgrade goes on. emit gets every
// event, one after another, from this goroutine; it may be nil.
func (e *Engine) Upgrade(ctx context.Context, req control.UpgradeRequest, emit func(control.Event)) error {
	f, to, err := e.takeOff(ctx, req)
	if err != nil {
		return err
	}
	if req.Hold {
		return f.watchHeld(ctx, to, emit)
	}
	return f.watch(ctx, to, emit)
}

// takeOff plans an upgrade, journals the plan and begins.
func (e *Engine) takeOff(ctx context.Context, req control.UpgradeRequest) (*flight, *feed, error) {
	e.depart.Lock()
	defer e.depart.Unlock()
	if err := e.free(); err != nil {
		return nil, nil, err
	}
	e.endTrial()
	d, err := e.drawPlan(ctx, control.PlanRequest{To: req.To, Hold: req.Hold, NoProbation: req.NoProbation})
	if err != nil {
		return nil, nil, err
	}
	if req.Digest != "" && req.Digest != d.plan.Digest {
		return nil, nil, e.refuse(codeStalePlan, "the plan that was shown is no longer the plan",
			"look at it again: reltool upgrade")
	}
	if err := e.fits(d); err != nil {
		return nil, nil, err
	}
	if err := context.Cause(ctx); err != nil {
		return nil, nil, err
	}
	return e.begin(d, req.By)
}

// free is nil if nothing is under way.
func (e *Engine) free() error {
	if err := e.closed(); err != nil {
		return err
	}
	e.mu.Lock()
	taken := e.flight != nil || e.reg.upgrade != nil
	e.mu.Unlock()
	if taken {
		return e.busy()
	}
	return nil
}

func (e *Engine) begin(d *drawn, by string) (*flight, *feed, error) {
	u := &underway{from: d.plan.From, to: d.plan.To, by: by, plan: d.plan, changes: d.changes}
	e.read(func(r *registry) { u.id = r.upgrades + 1 })
	f := e.newFlight(u, d.from, d.to)
	to := f.feeds.add()
	ev := f.event(string(Planned))
	ev.Text, ev.Parts = fmt.Sprintf("%s to %s", orNothing(f.from), f.to), f.services()
	if err := f.journal(record{Event: ev, Plan: &f.plan, Changes: d.changes}); err != nil {
		return nil, nil, err
	}
	e.mu.Lock()
	e.flight = f
	e.mu.Unlock()
	e.leaveInPeace(f)
	f.launch(f.run)
	return f, to, nil
}

// run is the whole course.
func (f *flight) run(ctx context.Context) error {
	if err := f.prepare(ctx); err != nil {
		return f.abort(ctx, err)
	}
	if err := f.switchAll(ctx); err != nil {
		return f.giveUp(ctx, err)
	}
	f.e.Supervise()
	return f.prove(ctx)
}

// giveUp takes the way back that the journal allows.
func (f *flight) giveUp(ctx context.Context, cause error) error {
	switch {
	case f.e.closed() != nil:
		return f.e.closed()
	case !f.state().Decided():
		return f.abort(ctx, cause)
	case f.passed():
		return f.keep(ctx, cause)
	default:
		return f.rollBack(ctx, cause)
	}
}

// passed is true once a version may have written from which there is no way back. Before that there is one even if the
// commit was journaled, be it that nobody knows whether the disk has it: the new version reads what the old one writes.
func (f *flight) passed() bool {
	return f.plan.NoReturn && slices.ContainsFunc(f.moves, func(m *move) bool { return m.Irreversible && m.served })
}

// failure is how an upgrade that went back reads to those who asked for it.
func (f *flight) failure(code, what string, cause error) *control.Error {
	e := f.e.refuse(code, fmt.Sprintf("the upgrade to %s was %s: %v", f.to, what, cause), "see: reltool history")
	var step *StepError
	var asked *askedError
	if errors.As(cause, &asked) || !errors.As(cause, &step) {
		return e
	}
	if step.Step == stepRehearse {
		e.Code = codeRehearsal
	}
	if step.Hint != "" {
		e.Hint = step.Hint
	}
	return e
}
