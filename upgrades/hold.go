package upgrades

import (
	"context"
	"time"
)

// holdPatience is for a boot or a plan that is under way; most are over within this.
const (
	holdPatience = 5 * time.Second
	holdAgain    = 20 * time.Millisecond
)

// Hold keeps the engine from beginning or booting anything until release is called. While an upgrade is under way,
// its probation included, or services take long to come up, it is refused with a *control.Error.
func (e *Engine) Hold(ctx context.Context) (release func(), err error) {
	if err := e.await(ctx); err != nil {
		return nil, err
	}
	if err := e.free(); err != nil {
		e.depart.Unlock()
		return nil, err
	}
	return e.depart.Unlock, nil
}

// await locks depart, within holdPatience.
func (e *Engine) await(ctx context.Context) error {
	tick, limit := time.NewTicker(holdAgain), time.After(holdPatience)
	defer tick.Stop()
	for !e.depart.TryLock() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-limit:
			if e.InProgress() != nil {
				return e.busy()
			}
			return e.refuse(codeBusy, "services are still being brought up", "try again in a moment; see: reltool status")
		}
	}
	return nil
}
