package upgrades

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/theseusd/theseus/upgrades/release"
)

// errInterrupted is why an upgrade ends that a crash of the daemon has cut short.
var errInterrupted = errors.New("the daemon ended in the middle of it")

// Recover resolves the upgrade that a crash has interrupted, if there is one: without a commit record the old
// versions serve, with it the new ones do, and if those are dead while the old ones live it rolls back. It returns
// when each service of the upgrade has its active instance; a probation starts again from its beginning and goes on
// in the background. It may be interrupted itself and repeated.
func (e *Engine) Recover(ctx context.Context) error {
	e.depart.Lock()
	defer e.depart.Unlock()
	if err := e.closed(); err != nil {
		return err
	}
	f := e.interrupted()
	if f == nil {
		return nil
	}
	e.leaveInPeace(f)
	f.launch(f.resume)
	select {
	case <-f.ready:
		return e.closed()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// interrupted returns the flight that nobody flies, or nil.
func (e *Engine) interrupted() *flight {
	e.mu.Lock()
	u := e.reg.upgrade
	idle := u == nil || e.flight != nil
	e.mu.Unlock()
	if idle {
		return nil
	}
	f := e.newFlight(u, e.packagesOf(u, false), e.packagesOf(u, true))
	f.resumed, f.taken = true, true
	e.mu.Lock()
	defer e.mu.Unlock()
	e.flight = f
	return f
}

// packagesOf finds the packages of an upgrade. One that is missing matters only if its version must be started: then
// the start fails.
func (e *Engine) packagesOf(u *underway, to bool) packages {
	ps := packages{}
	for _, c := range u.changes {
		it := c.oldItem()
		if to {
			it = c.newItem()
		}
		if it.Digest == "" {
			continue
		}
		p, err := e.packageOf(c.Service, it)
		if err != nil {
			e.log.Error("a package of the interrupted upgrade is missing", "error", err)
			p = release.Package{Name: c.Service, Version: it.Version, Digest: it.Digest, Settings: it.Settings}
		}
		ps[c.Service] = p
	}
	return ps
}

// resume does what the journal demands.
func (f *flight) resume(ctx context.Context) error {
	state := f.state()
	f.e.Supervise()
	for _, m := range f.moves {
		f.find(ctx, m, state)
	}
	switch {
	case !state.Decided():
		return f.abort(ctx, errInterrupted)
	case state == RollingBack:
		return f.rollBack(ctx, errInterrupted)
	}
	if cause := f.lost(); cause != nil && !f.plan.NoReturn {
		return f.rollBack(ctx, cause)
	}
	if err := f.forwardAll(ctx); err != nil {
		return f.giveUp(ctx, err)
	}
	return f.prove(ctx)
}

// find looks for what lives of both versions of a service.
func (f *flight) find(ctx context.Context, m *move, state State) {
	f.e.host.Take(m.Service)
	was, will := m.oldItem(), m.newItem()
	m.old = f.e.pick(ctx, m.Service, was, was, will)
	m.new = f.e.pick(ctx, m.Service, will, was, will)
	if m.old == nil && m.Old != "" {
		m.old = Gone(m.from)
	}
	f.e.read(func(r *registry) { m.served = state.Decided() || r.upgrade.switched[m.Service] })
}

// pick returns the best live process of a package with its settings: the active one, else a standby, else nil. Others of
// it, those that do not answer, and those of what is not to stay end.
func (e *Engine) pick(ctx context.Context, service string, want item, stay ...item) (best Instance) {
	for _, in := range e.host.Instances(service) {
		is := itemOf(in.Package())
		switch {
		case !alive(in):
		case is.same(want) && want.Digest != "":
			s, err := status(ctx, in)
			if err != nil || (best != nil && s.Role != Active) {
				e.endLeftover(ctx, in, "it does not answer, or another one of its version does")
				continue
			}
			if best != nil {
				e.endLeftover(ctx, best, "another one of its version serves")
			}
			best = in
		case !slices.ContainsFunc(stay, is.same):
			e.endLeftover(ctx, in, "it is of no version that is to stay")
		}
	}
	return best
}

// endLeftover ends a process that is not to stay. That it happened, and why, is in the log: it may have served somebody.
func (e *Engine) endLeftover(ctx context.Context, in Instance, why string) {
	e.log.Info("ending a process", "process", in.ID(), "because", why)
	kill(ctx, in)
}

// lost is set if the new version of a service died while its old one lives on, more often than it may.
func (f *flight) lost() error {
	for _, m := range f.moves {
		if m.live() && !alive(m.new) && alive(m.old) {
			if f.state() == Probation && f.mayCrash(m) {
				f.countCrash(m)
				continue
			}
			return &StepError{Service: m.Service, Step: stepServe, Err: fmt.Errorf("%s: %w", m.To, ErrGone)}
		}
	}
	return nil
}
