package upgrades

import (
	"context"
	"fmt"
	"time"
)

// refusedPoll is how often a version that writes older shapes besides is asked whether it had to refuse a row.
const refusedPoll = 500 * time.Millisecond

// watchRefused fails what is going on when the version that serves refused a write because the version that may take
// over from it could not hold the row. Its client was told; others with such rows are to be served again soon.
func (f *flight) watchRefused(ctx context.Context, m *move, in Instance, fail context.CancelCauseFunc) {
	tick := time.NewTicker(refusedPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-in.Done():
			return
		case <-tick.C:
		}
		if err := f.refused(ctx, m, in); err != nil {
			fail(err)
			return
		}
	}
}

// refused asks once. That a version does not answer is for its health check to say.
func (f *flight) refused(ctx context.Context, m *move, in Instance) error {
	s, err := status(ctx, in)
	if err != nil || s.Refused == nil {
		return nil
	}
	return &StepError{
		Service: m.Service, Step: stepShadow, Err: fmt.Errorf("a write was refused: %w", s.Refused),
		Hint: fmt.Sprintf("its client was told; a Step of table %s has to find a way down for such a row, or the change is irreversible",
			s.Refused.Table),
	}
}

// anyRefused asks every new version once more, at the end of a probation.
func (f *flight) anyRefused(ctx context.Context) error {
	return f.each(ctx, func(ctx context.Context, m *move) error {
		if !alive(m.new) || len(f.shadowsOf(m)) == 0 {
			return nil
		}
		return f.refused(ctx, m, m.new)
	})
}
