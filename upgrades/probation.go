package upgrades

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// prove watches the new versions for the time of their probation and then makes them permanent, or goes back.
func (f *flight) prove(ctx context.Context) error {
	f.beginProbation()
	f.settled()
	for {
		if err := f.probation(ctx); err != nil {
			return f.giveUp(ctx, err)
		}
		err := f.reach(Permanent, "")
		if err == nil {
			f.finish(ctx)
			return nil
		}
		// As long as the journal does not take the record a crash would not know of it: the probation goes on.
		f.e.log.Error("the probation goes on until the journal takes its end", "error", err)
		if err := pause(ctx, minProbation); err != nil {
			return f.giveUp(ctx, err)
		}
	}
}

func (f *flight) beginProbation() {
	ev := f.event(string(Probation))
	worst, detail := f.pauses()
	ev.Took, ev.Detail = worst.Seconds(), detail
	ev.Text = span(seconds(f.plan.Probation))
	if f.state() == Probation {
		ev.Text = "again, " + ev.Text
	}
	f.feeds.send(f.e.must(record{Event: ev}))
}

// probation returns nil when every new version was healthy to the end.
func (f *flight) probation(ctx context.Context) error {
	if f.plan.NoReturn {
		return nil
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
		if m.live() {
			wg.Go(func() { f.keepStandby(ctx, m) })
		}
	}
	return f.lastLong(ctx, max(seconds(f.plan.Probation), minProbation))
}

// minProbation lets at least one health check end.
const minProbation = time.Second

func (f *flight) lastLong(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return context.Cause(ctx) // what failed in the same instant counts
	case <-f.asked:
		return &askedError{f.askBy}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
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
			fail(&StepError{Service: m.Service, Step: stepServe, Err: fmt.Errorf("%s: %w", m.To, ErrGone)})
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
