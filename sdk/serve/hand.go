package serve

import (
	"context"
	"time"
)

// A request is one in hand, as far as a park can tell its handler.
type request struct {
	since  time.Time               // when it began
	cancel context.CancelCauseFunc // of its context; nil: it has none
}

// told ends the request's context, and says whether it did: with force always, else if the request has already run for
// longer than what is left to it now.
func (r *request) told(force bool, budget time.Duration) bool {
	if r.cancel == nil || !force && time.Since(r.since) <= budget {
		return false
	}
	r.cancel(ErrParking)
	return true
}

// InHand is for a handler that has one request in hand until it returns, and does not hand over before: Park waits for it,
// as for a request of HTTP, and leaves its reads and writes alone. They go on as if nothing was. The context that is
// returned is for the request: it ends when the handler is to end early, with the cause ErrParking, and [Parking] tells
// of a park at once.
func (c *Conn) InHand(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(context.WithValue(ctx, groupKey{}, c.g))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inHand = &request{time.Now(), cancel}
	return ctx
}

// Free keeps the connection out of all parks, for a handler that has it for another protocol: nothing waits for it, and it
// does not travel, but is hung up when this version hands over.
func (c *Conn) Free() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.free = true
	c.released()
}

// putsOff is true for a write that a park keeps for whoever serves next. The lock is held.
func (c *Conn) putsOff() bool { return c.owes != nil && !c.closing && c.inHand == nil }
