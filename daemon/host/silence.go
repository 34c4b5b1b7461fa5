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

// A process that does not answer may be slow, and gets the time of silentPings. One that the kernel keeps stopped is not
// slow: it is given up when so many looks in a row, a while apart, have found it like this. That is counted as well, and
// long enough for a stop that somebody ends soon.
const (
	stoppedLooks = 6
	lookEvery    = 250 * time.Millisecond
)

// silence is why a call ends whose process does nothing any more; its own budget may be half an hour.
type silence string

var (
	errSilent   error = silence("no sign of life")
	errUnheeded error = silence(fmt.Sprintf("no sign of life, %d pings in a row", silentPings))
	errStopped  error = silence(fmt.Sprintf("stopped by a signal for %s", stoppedLooks*lookEvery))
)

func (s silence) Error() string { return string(s) }

// Is makes each silence an errSilent, and a time limit that was exceeded.
func (silence) Is(target error) bool {
	return target == errSilent || target == context.DeadlineExceeded
}

// heed counts the pings that were not answered since the last one that was.
func (in *instance) heed(err error) {
	in.mu.Lock()
	if in.missed++; err == nil {
		in.missed, in.lost = 0, nil
	}
	in.mu.Unlock()
	in.host.service(in.pkg.Name).pulse(in, err == nil)
}

// silent is why the process is given up, nil if it is not. Once given up it stays so until it answers a ping.
func (in *instance) silent() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.lost == nil && in.missed >= silentPings {
		in.lost = errUnheeded
	}
	return in.lost
}

// look notes whether the process is stopped, and gives it up if it has been at each of the last looks of this call.
func (in *instance) look(stopped *int) {
	*stopped++
	if !in.host.stopped(in.record.PID) {
		*stopped = 0
	}
	if *stopped < stoppedLooks {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.lost = errStopped
}

// attended is a context for a call that somebody waits for. It ends, with errSilent, when the process falls silent.
func (in *instance) attended(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	if err := in.silent(); err != nil {
		end(err)
		return ctx, func() {}
	}
	go func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for stopped := 0; ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			in.look(&stopped)
			if err := in.silent(); err != nil {
				end(err)
				return
			}
		}
	}()
	return ctx, func() { end(nil) }
}

// failIn is fail for a call in an attended context.
func (in *instance) failIn(ctx context.Context, call string, err error) error {
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errSilent) {
		err = cause
	}
	return in.fail(call, err)
}
