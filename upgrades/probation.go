package upgrades

import (
	"context"
	"errors"
	"sync"
	"time"
)

// prove watches the new versions for the time of their probation and then makes them permanent, or goes back.
func (f *flight) prove(ctx context.Context) error {
	f.beginProbation()
	f.settled()
	end := f.probationEnd
	for {
		if err := f.probation(ctx, end); err != nil {
			spared, rerr := f.spare(ctx, err)
			if spared && rerr == nil {
				continue
			}
			return f.giveUp(ctx, errors.Join(err, rerr))
		}
		err := f.makePermanent()
		if err == nil {
			f.finish(ctx)
			return nil
		}
		// As long as the journal does not take the record a crash would not know of it: the probation goes on, also one
		// that had no length or that somebody has ended.
		f.e.log.Error("the probation goes on until the journal takes its end", "error", err)
		end = f.soon
	}
}

func (f *flight) beginProbation() {
	ev := f.event(string(Probation))
	ev.Pause, ev.Detail = f.pauses()
	ev.Text = span(seconds(f.plan.Probation))
	if f.plan.Hold {
		ev.Text = heldText
	}
	if f.state() == Probation {
		ev.Text = "again, " + ev.Text
	}
	f.feeds.send(f.e.must(record{Event: ev}))
	f.due = time.Now().Add(max(seconds(f.plan.Probation), minProbation))
}

// heldText says what a probation waits for that has no end by itself.
const heldText = "held: reltool commit or reltool rollback"

// probation returns nil when every new version was healthy until end returned nil.
func (f *flight) probation(ctx context.Context, end func(ctx context.Context) error) error {
	if f.plan.NoReturn {
		return end(ctx) // nobody watches: there is nowhere to go back to
	}
	ctx, fail := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer fail(nil)
	for _, m := range f.moves {
		if m.Do == doStop {
			continue
		}
		wg.Go(func() { f.watchHealth(ctx, m, fail) })
		wg.Go(func() { f.watchTraffic(ctx, m, m.new, fail) })
		if len(f.shadowsOf(m)) > 0 {
			wg.Go(func() { f.watchRefused(ctx, m, m.new, fail) })
		}
		if m.live() {
			wg.Go(func() { f.keepStandby(ctx, m) })
		}
	}
	if err := end(ctx); err != nil {
		return err
	}
	if err := f.lastLook(ctx); err != nil {
		return err
	}
	return f.anyRefused(ctx)
}

// lastLook wants an answer from every new version: one that hangs may have a probation shorter than the budget of its
// health check.
func (f *flight) lastLook(ctx context.Context) error {
	if f.plan.NoProbation {
		return nil
	}
	return f.each(ctx, func(ctx context.Context, m *move) error {
		if m.Do == doStop {
			return nil
		}
		return f.call(ctx, m, stepHealth, healthBudget, m.new.Health)
	})
}

// minProbation lets at least one health check end.
const minProbation = time.Second

// probationEnd returns nil at the end of the probation that was planned, or when somebody ends it. One that is held has
// no other end.
func (f *flight) probationEnd(ctx context.Context) error {
	switch {
	case f.plan.NoProbation, f.plan.NoReturn:
		return f.verdict(ctx)
	case f.plan.Hold:
		return f.await(ctx, nil, f.approved)
	}
	t := time.NewTimer(max(time.Until(f.due), minProbation)) // a version that was started again shows that it stays up
	defer t.Stop()
	return f.await(ctx, t.C, f.approved)
}

// soon ends a probation that is over but for its record.
func (f *flight) soon(ctx context.Context) error {
	t := time.NewTimer(minProbation)
	defer t.Stop()
	return f.await(ctx, t.C, nil)
}

func (f *flight) await(ctx context.Context, over <-chan time.Time, approved <-chan struct{}) error {
	asked := f.asked
	if f.plan.NoReturn {
		asked = nil
	}
	select {
	case <-over:
	case <-approved:
	case <-asked:
	case <-ctx.Done():
	}
	return f.verdict(ctx)
}

// verdict is nil if nothing speaks against the new versions; what failed in the same instant counts.
func (f *flight) verdict(ctx context.Context) error {
	select {
	case <-f.asked:
		if !f.plan.NoReturn {
			return &askedError{f.askBy}
		}
	default:
	}
	return context.Cause(ctx)
}

// watchHealth asks a new version at its interval, from the start on, and fails the probation when it is unhealthy or
// gone.
func (f *flight) watchHealth(ctx context.Context, m *move, fail context.CancelCauseFunc) {
	tick := time.NewTicker(orDefault(m.Health, time.Second))
	defer tick.Stop()
	for {
		err := f.call(ctx, m, stepHealth, healthBudget, m.new.Health)
		if err != nil {
			fail(err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-m.new.Done():
			fail(&StepError{Service: m.Service, Step: stepServe, Err: died(m.To, m.new)})
			return
		case <-tick.C:
		}
	}
}

// keepStandby starts the old version again, once, if it dies while it stands by. Without a standby going back takes
// as long as a start, but it loses nothing either.
func (f *flight) keepStandby(ctx context.Context, m *move) {
	if alive(m.old) {
		select {
		case <-ctx.Done():
			return
		case <-m.old.Done():
		}
	}
	f.tell(m, "starting", m.From+" again, as a standby")
	if err := f.revive(ctx, m); err != nil && ctx.Err() == nil {
		f.e.log.Warn("there is no standby to go back to", "service", m.Service, "error", err)
	}
}
