package upgrades

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// switchAll takes one service after another over to its new version. The record of the last one commits, or that of the
// first from which there is no way back.
func (f *flight) switchAll(ctx context.Context) error {
	f.e.quiet.Lock()
	defer f.e.quiet.Unlock()
	if err := f.reach(Switching, ""); err != nil {
		return err
	}
	err := f.each(ctx, func(ctx context.Context, m *move) error {
		err := f.switchOver(ctx, m)
		if err == nil {
			f.tellSwitched(m)
		}
		return err
	})
	if err != nil {
		return err
	}
	return f.markTree()
}

func (f *flight) switchOver(ctx context.Context, m *move) error {
	switch m.Do {
	case doStart:
		return f.switchIn(ctx, m)
	case doStop:
		_, err := f.mark(m)
		return err
	case doRestart:
		return f.switchByRestart(ctx, m)
	default:
		return f.switchLive(ctx, m)
	}
}

func (f *flight) tellSwitched(m *move) {
	ev := f.event("serving")
	ev.Time, ev.Service, ev.Pause = time.Now().UTC(), m.Service, m.pause.Seconds()
	ev.Text = fmt.Sprintf("%s %s after a pause of %s", m.Service, m.To, m.pause.Round(10*time.Microsecond))
	if m.Do == doStop {
		ev.Text = fmt.Sprintf("%s %s is to go", m.Service, m.From)
	}
	f.feeds.send(ev)
	f.e.log.Info("switched", "service", m.Service, "from", m.From, "to", m.To, "pause", m.pause)
}

// switchLive is the one moment in which nobody serves: from the old version's last request to the new one's first.
// The record is in the kernel when the new version takes over, which a crash of the daemon cannot undo; that it is on
// disk is awaited beside that. Should power fail in between, either version finds every change in its own shape,
// except where there is no way back: then the disk comes first.
func (f *flight) switchLive(ctx context.Context, m *move) error {
	began := time.Now()
	if err := f.letGo(ctx, m); err != nil {
		return err
	}
	synced, err := f.mark(m)
	if err != nil {
		return err
	}
	if m.Irreversible {
		if err := <-synced; err != nil {
			return &StepError{Service: m.Service, Step: stepJournal, Err: err}
		}
	}
	err = f.takeOver(ctx, m, m.forTakeOver(), true)
	m.pause = time.Since(began)
	if serr := <-synced; err == nil && serr != nil {
		return &StepError{Service: m.Service, Step: stepJournal, Err: serr}
	}
	return err
}

// switchByRestart ends the old version before the new one comes up.
func (f *flight) switchByRestart(ctx context.Context, m *move) error {
	synced, err := f.mark(m)
	if err != nil {
		return err
	}
	if err := <-synced; err != nil {
		return &StepError{Service: m.Service, Step: stepJournal, Err: err}
	}
	began := time.Now()
	defer func() { m.pause = time.Since(began) }()
	m.loose = true
	if alive(m.old) {
		err := f.call(ctx, m, stepStop, m.forStop(), m.old.Stop)
		if alive(m.old) && err != nil {
			return err
		}
	}
	if err := f.bringUp(ctx, m); err != nil {
		return err
	}
	return f.takeOver(ctx, m, m.forComeBack(), false)
}

// switchIn lets a service that is new serve.
func (f *flight) switchIn(ctx context.Context, m *move) error {
	synced, err := f.mark(m)
	if err != nil {
		return err
	}
	err = f.takeOver(ctx, m, m.forComeBack(), false)
	if serr := <-synced; err == nil && serr != nil {
		return &StepError{Service: m.Service, Step: stepJournal, Err: serr}
	}
	return err
}

// mark journals that a service goes over, which may be the commit. It does not wait for the disk: synced tells.
func (f *flight) mark(m *move) (synced <-chan error, err error) {
	kind := Switched
	if m.change.commits(f.moves[len(f.moves)-1].Service) && !f.state().Decided() {
		kind = string(Committed)
	}
	ev := f.event(kind)
	ev.Service, ev.Text = m.Service, switchedText(m.change)
	ev, sync, err := f.e.write(record{Event: ev})
	if err != nil {
		return nil, &StepError{Service: m.Service, Step: stepJournal, Err: err}
	}
	done := make(chan error, 1)
	go func() {
		defer close(done)
		done <- sync()
		f.e.report(record{Event: ev})
	}()
	f.feeds.send(ev)
	return done, nil
}

func switchedText(c change) string {
	switch c.Do {
	case doStart:
		return fmt.Sprintf("%s %s", c.Service, c.To)
	case doStop:
		return fmt.Sprintf("%s %s goes", c.Service, c.From)
	default:
		return fmt.Sprintf("%s %s -> %s", c.Service, c.From, c.To)
	}
}

// letGo makes the old version stop serving. One that is busy serves on between the tries; one whose connections nobody
// takes serves on with them.
func (f *flight) letGo(ctx context.Context, m *move) error {
	m.loose = true
	err := f.release(ctx, m, m.old, false)
	if errors.Is(err, ErrBusy) || errors.Is(err, ErrUnpaired) {
		m.loose = false
	}
	m.mute = errors.Is(err, context.DeadlineExceeded)
	return err
}

// release makes an instance let go within the budget of a switch, whatever the number of tries. An answer that says
// no has changed nothing, so the next try may come.
func (f *flight) release(ctx context.Context, m *move, in Instance, cut bool) error {
	budget := m.forLetGo()
	until := time.Now().Add(budget)
	for {
		left := time.Until(until)
		err := f.call(ctx, m, stepLetGo, left+switchBudget, func(ctx context.Context) error {
			_, err := in.Release(ctx, min(m.Drain, left), cut)
			return err
		})
		if err == nil || settledFailure(err) || time.Until(until) <= busyPause {
			return err
		}
		if perr := pause(ctx, busyPause); perr != nil {
			return errors.Join(err, perr)
		}
	}
}

// settledFailure is true if asking again would not help: the process is gone or hangs, or nobody takes its connections.
func settledFailure(err error) bool {
	return errors.Is(err, ErrGone) || errors.Is(err, ErrUnpaired) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// handDown makes a process let go for its heir, where there is no other way but to go on, and tells whether its
// connections travel. If the two are not paired any more they are paired again; only if that fails as well the
// connections are cut.
func (f *flight) handDown(ctx context.Context, m *move, in, heir Instance) (paired bool, err error) {
	err = f.release(ctx, m, in, false)
	if errors.Is(err, ErrUnpaired) && alive(heir) {
		f.joinAgain(ctx, m, in, heir)
		err = f.release(ctx, m, in, false)
	}
	if errors.Is(err, ErrUnpaired) {
		return false, f.release(ctx, m, in, true)
	}
	return err == nil, err
}

// joinAgain pairs a process that serves with the one that is to take its connections. Without a pair they are cut at
// the switch, no more.
func (f *flight) joinAgain(ctx context.Context, m *move, in, heir Instance) {
	err := f.call(ctx, m, stepPair, pairBudget, func(ctx context.Context) error { return in.Pair(ctx, heir) })
	if err != nil {
		f.e.log.Warn("connections will not be kept", "service", m.Service, "error", err)
	}
}

// takeOver makes the new version serve.
func (f *flight) takeOver(ctx context.Context, m *move, budget time.Duration, paired bool) error {
	m.served, m.heir = true, nil
	err := f.call(ctx, m, stepTakeOver, budget, func(ctx context.Context) error {
		_, err := m.new.Activate(ctx, f.shadowsOf(m), paired)
		return err
	})
	m.stuck = err != nil
	return err
}

// shadowsOf are the shapes that the new version has to write besides its own.
func (f *flight) shadowsOf(m *move) map[string]int32 {
	if m.Irreversible || m.Old == "" {
		return nil
	}
	return shadows(m.new.Describe(), m.from.Describe)
}

// pauses are the measured moments in which nobody served, in seconds: the longest, and that of each service.
func (f *flight) pauses() (worst float64, detail map[string]any) {
	for _, m := range f.moves {
		if m.pause > 0 {
			if detail == nil {
				detail = map[string]any{}
			}
			detail[m.Service] = m.pause.Seconds()
			worst = max(worst, m.pause.Seconds())
		}
	}
	return worst, detail
}
