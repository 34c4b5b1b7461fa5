package upgrades

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// abort ends an upgrade before its commit: the old versions serve, as they did all along.
func (f *flight) abort(ctx context.Context, cause error) error {
	if err := f.e.closed(); err != nil {
		return err
	}
	err := f.backAll(ctx)
	if cerr := f.e.closed(); cerr != nil {
		return cerr
	}
	if err != nil {
		f.e.log.Error("an old version does not come back; the host goes on trying", "error", err)
	}
	return f.land(ctx, Aborted, f.failure(codeAborted, "aborted", cause), cause)
}

// rollBack ends an upgrade after its commit with the old versions. Only if one of them cannot be brought back, and
// the new ones can serve, does the upgrade stand.
func (f *flight) rollBack(ctx context.Context, cause error) error {
	if err := f.e.closed(); err != nil {
		return err
	}
	if f.state() != RollingBack {
		f.conclude(RollingBack, cause)
	}
	if err := f.backAll(ctx); err != nil && f.e.closed() == nil {
		if f.forwardAll(ctx) == nil {
			return f.stand(ctx, fmt.Errorf("%w; the way back failed: %w", cause, err))
		}
		if err := f.backAll(ctx); err != nil {
			f.e.log.Error("an old version does not come back; the host goes on trying", "error", err)
		}
	}
	if err := f.e.closed(); err != nil {
		return err
	}
	return f.land(ctx, RolledBack, f.failure(codeRolledBack, "rolled back", cause), cause)
}

// land gives the services to the host with their old versions, writes how it ended, and cleans up.
func (f *flight) land(ctx context.Context, s State, failure *control.Error, cause error) error {
	f.give(ctx)
	f.conclude(s, cause)
	f.e.Supervise()
	f.settled()
	f.clear(ctx)
	failure.Running = f.e.running()
	return failure
}

// conclude journals what holds whether or not the journal takes it.
func (f *flight) conclude(s State, cause error) {
	ev := f.event(string(s))
	if cause != nil {
		ev.Reason = cause.Error()
	}
	if s.Ended() {
		ev.Pause, ev.Detail = f.pauses()
	}
	var asked *askedError
	innocent := errors.As(cause, &asked) || s == Aborted && errors.Is(cause, errInterrupted)
	f.feeds.send(f.e.must(record{Event: ev, Asked: innocent}))
	f.last = s
}

// backAll brings every old version back.
func (f *flight) backAll(ctx context.Context) error {
	var errs []error
	for _, m := range slices.Backward(f.moves) {
		if err := f.back(ctx, m); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// give hands the services to the host with their old versions. One that did not come up is the host's to start, and
// its new version must not serve beside it.
func (f *flight) give(ctx context.Context) {
	if !f.taken {
		return
	}
	for _, m := range f.moves {
		if m.served && !alive(m.old) {
			kill(ctx, m.new)
		}
		f.e.host.Give(m.Service, m.old)
	}
}

// back makes the old version of one service serve again, wherever the switch was.
func (f *flight) back(ctx context.Context, m *move) error {
	switch {
	case m.Do == doStart:
		f.stop(ctx, m, m.new)
		return nil
	case alive(m.old) && !m.loose && !m.served && !f.resumed:
		return nil // it never stopped
	case !alive(m.old) && !m.served && !f.resumed:
		return nil // it died by itself: the host starts it again
	}
	if m.stuck {
		kill(ctx, m.new)
	}
	var err error
	for try := range startTries {
		if try > 0 {
			if perr := pause(ctx, startPause); perr != nil {
				return errors.Join(err, perr)
			}
		}
		if err = f.backOnce(ctx, m); err == nil {
			return nil
		}
		if try > 0 || errors.Is(err, context.DeadlineExceeded) {
			kill(ctx, m.old) // the next try is with a fresh process
		}
	}
	return err
}

// backOnce has three parts: a process of the old version, the new one letting go, the old one taking over. The new
// version serves until the first is there.
func (f *flight) backOnce(ctx context.Context, m *move) error {
	if err := f.revive(ctx, m); err != nil {
		return err
	}
	began := time.Now()
	paired := f.yield(ctx, m)
	budget := m.forComeBack()
	if m.mute { // nobody serves: it gets one more chance, and then a fresh process does better
		budget, m.mute = switchBudget, false
	}
	err := f.call(ctx, m, stepTakeOver, budget, func(ctx context.Context) error {
		_, err := m.old.Activate(ctx, nil, paired)
		return err
	})
	m.pause = time.Since(began)
	return err
}

// revive starts the old version again if its process is gone or does nothing any more; the new one serves meanwhile.
func (f *flight) revive(ctx context.Context, m *move) error {
	if alive(m.old) && (!m.served || !alive(m.new) || answers(ctx, m.old)) {
		return nil
	}
	kill(ctx, m.old)
	err := f.call(ctx, m, stepStart, m.forStart(), func(ctx context.Context) error {
		in, err := f.e.host.Start(ctx, m.from)
		if err == nil {
			m.old = in
		}
		return err
	})
	if err == nil && alive(m.new) && m.served && !m.stuck && m.heir == nil {
		f.pairBack(ctx, m)
	}
	return err
}

// pairBack joins the new version, if it serves, with a fresh process of the old one.
func (f *flight) pairBack(ctx context.Context, m *move) {
	if s, err := status(ctx, m.new); err != nil || s.Role != Active {
		return // after a crash of the daemon the journal knows only that it was about to
	}
	f.joinAgain(ctx, m, m.new, m.old)
}

// yield makes the new version let go, by force if it does not by itself, and tells whether it handed its connections
// over.
func (f *flight) yield(ctx context.Context, m *move) bool {
	if !m.served || !alive(m.new) {
		return false
	}
	if m.heir != nil {
		return m.heir == m.old
	}
	paired, err := f.handDown(ctx, m, m.new, m.old)
	if err != nil {
		f.e.log.Warn("the new version does not let go", "service", m.Service, "error", err)
		kill(ctx, m.new)
		return false
	}
	m.heir = Gone(m.from) // nobody has the connections
	if paired {
		m.heir = m.old
	}
	return paired
}

// clear ends what the way back leaves behind: processes of the new versions, pairs and older shapes of the old ones.
func (f *flight) clear(ctx context.Context) {
	for _, m := range f.moves {
		f.stop(ctx, m, m.new)
		if m.Do != doStart && (m.paired || m.shadowed || m.served || f.resumed) {
			f.e.settle(ctx, m.old)
		}
	}
}

// stop ends a process in order, or by force; nothing depends on it any more.
func (f *flight) stop(ctx context.Context, m *move, in Instance) {
	if !alive(in) || ctx.Err() != nil {
		return
	}
	if err := f.call(ctx, m, stepStop, m.forStop(), in.Stop); err != nil {
		f.e.log.Warn("a process did not stop in order", "service", m.Service, "process", in.ID(), "error", err)
	}
}
