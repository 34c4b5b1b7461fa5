package host

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// silentPings is how many pings in a row a process may leave unanswered before those give up who wait for it. Counting
// them instead of asking the clock keeps a daemon that was itself stopped for a while from giving up its services.
const silentPings = 4

// errSilent is why a call ends whose process does nothing any more; its own budget may be half an hour.
var errSilent = fmt.Errorf("no sign of life, %d pings in a row: %w", silentPings, context.DeadlineExceeded)

// heed counts the pings that were not answered since the last one that was.
func (in *instance) heed(err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.missed++; err == nil {
		in.missed = 0
	}
}

func (in *instance) silent() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.missed >= silentPings
}

// attended is a context for a call that may take long. It ends, with errSilent, when the process falls silent.
func (in *instance) attended(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	go func() {
		tick := time.NewTicker(pingEvery / 2)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if in.silent() {
				end(errSilent)
				return
			}
		}
	}()
	return ctx, func() { end(nil) }
}

// failIn is fail for a call in an attended context.
func (in *instance) failIn(ctx context.Context, call string, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errSilent) {
		err = errSilent
	}
	return in.fail(call, err)
}
