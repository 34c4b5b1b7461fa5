package upgrades

import (
	"context"
	"errors"
	"fmt"
)

// keep ends an upgrade from which there is no way back, after a failure past its commit: the new versions serve, or
// the host goes on trying.
func (f *flight) keep(ctx context.Context, cause error) error {
	if err := f.forwardAll(ctx); err != nil {
		cause = fmt.Errorf("%w; %w", cause, err)
	}
	return f.stand(ctx, cause)
}

// stand makes the new versions permanent although something went wrong.
func (f *flight) stand(ctx context.Context, cause error) error {
	if err := f.e.closed(); err != nil {
		return err
	}
	if f.state() == Committed { // the end follows from a probation
		f.conclude(Probation, nil)
	}
	f.conclude(Permanent, cause)
	f.finish(ctx)
	return f.e.refuse(codeInternal, fmt.Sprintf("%s stays, but not as planned: %v", f.to, cause), "see: reltool history")
}

// forwardAll makes the new version of each service serve, wherever the switch was.
func (f *flight) forwardAll(ctx context.Context) error {
	return f.each(ctx, func(ctx context.Context, m *move) (err error) {
		for try := range startTries {
			if try > 0 {
				if perr := pause(ctx, startPause); perr != nil {
					return perr
				}
			}
			if err = f.forward(ctx, m); err == nil {
				return nil
			}
			if try > 0 || errors.Is(err, context.DeadlineExceeded) {
				kill(ctx, m.new) // the next try is with a fresh process
			}
		}
		return err
	})
}

// forward may be repeated: a new version that serves goes on, one that refused is asked again.
func (f *flight) forward(ctx context.Context, m *move) error {
	if m.Do == doStop {
		return nil
	}
	handed := f.handOver(ctx, m)
	if !alive(m.new) {
		handed = false
		if err := f.bringUp(ctx, m); err != nil {
			return err
		}
	}
	return f.takeOver(ctx, m, m.forComeBack(), handed)
}

// handOver makes the old version let go, by force if need be, and tells whether its connections travel.
func (f *flight) handOver(ctx context.Context, m *move) bool {
	if !alive(m.old) {
		return false
	}
	m.loose = true
	if m.Do == doRestart {
		f.stop(ctx, m, m.old)
		return false
	}
	paired, err := f.handDown(ctx, m, m.old, m.new)
	if err != nil {
		kill(ctx, m.old)
	}
	return paired
}
