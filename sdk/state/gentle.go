package state

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// lowPriority is the nice value of work that must not hold up whoever serves: a third of a processor's time where
// another thread wants it too.
const lowPriority = 5

// stepBack lowers the priority of this goroutine, which has to end soon after the function returned was called: its
// thread ends with it, since only root may raise a priority again. Where the kernel refuses nothing changes.
func stepBack() (done func()) {
	runtime.LockOSThread()
	if unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), lowPriority) != nil {
		return runtime.UnlockOSThread
	}
	return func() {}
}

// restAfter times what is done until the function returned is called, which then rests as long, if it is to.
func restAfter(really bool) func(ctx context.Context) error {
	began := time.Now()
	return func(ctx context.Context) error {
		if !really {
			return nil
		}
		return pause(ctx, time.Since(began))
	}
}
