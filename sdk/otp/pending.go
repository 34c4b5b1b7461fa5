package otp

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// pending is a call that waits. It is used again for other calls, each under its own ticket: whoever closes the ticket
// first, by an answer or by giving up, has the say.
type pending struct {
	n       *Node
	id      uint64        // in the node
	abroad  *address      // of a call that waits in another process of the service; then there is nothing else but due
	request mail          // what was asked, in the mailbox or taken out of it
	ticket  atomic.Uint64 // even while open
	state   atomic.Uint32
	due     atomic.Int64 // when its time is up, by the node's clock
	done    chan struct{}
	value   any
	err     error
	left    bool // closed by somebody who gave up: its mail may still lie in a mailbox

	// The alarm goes on from call to call, so that most of them need not touch it: it is set to when the time of some
	// call is up, and if that is over by then, to when the time of the present one is.
	armed atomic.Int64 // for when
	mu    sync.Mutex
	alarm *time.Timer
}

// States of a pending.
const (
	running  uint32 = iota
	parked          // its goroutine sleeps
	answered        // whoever closed the ticket is through
)

// unarmed is later than any call is due.
const unarmed = math.MaxInt64

func (n *Node) newPending() *pending {
	p := &pending{n: n, id: n.refs.Add(1), done: make(chan struct{}, 1)}
	p.ticket.Store(1)
	p.armed.Store(unarmed)
	return p
}

// open begins a new call; the one before is closed.
func (p *pending) open(m any, due int64) reply {
	p.state.Store(running)
	p.due.Store(due)
	r := reply{p, p.ticket.Add(1)}
	p.request.body, p.request.reply, p.request.counted = m, r, true
	if p.armed.Load() > due {
		p.arm(due)
	}
	return r
}

func (p *pending) arm(due int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.armed.Load() <= due {
		return
	}
	p.armed.Store(due)
	d := time.Duration(due - p.n.now())
	if p.alarm == nil {
		p.alarm = time.AfterFunc(d, p.ring)
		return
	}
	p.alarm.Reset(d)
}

// ring ends a call whose time is up. The alarm counts as unarmed before the ticket is read: a call that begins
// meanwhile is seen here, or sees that.
func (p *pending) ring() {
	p.armed.Store(unarmed)
	r := reply{p, p.ticket.Load()}
	due := p.due.Load()
	switch {
	case r.ticket%2 != 0:
	case due > p.n.now():
		p.arm(due)
	default:
		r.end(context.DeadlineExceeded)
	}
}

// reply is where the answer of one call goes.
type reply struct {
	p      *pending
	ticket uint64
}

// answer gives the answer, unless there is one already or nobody waits.
func (r reply) answer(v any, err error) {
	if r.p == nil || !r.close() {
		return
	}
	if r.p.abroad != nil {
		r.p.abroad.send(v, err)
		return
	}
	r.p.value, r.p.err = v, err
	r.p.wake()
}

// end has the caller give up.
func (r reply) end(err error) {
	if r.close() {
		r.p.left, r.p.err = true, err
		r.p.wake()
	}
}

// close is true for the first one who closes the ticket.
func (r reply) close() bool { return r.p.ticket.CompareAndSwap(r.ticket, r.ticket+1) }

// discard ends a call that was refused. Its pending is used again, unless the alarm was first: that may not be through.
func (r reply) discard() {
	if r.close() {
		r.p.request.body = nil
		r.p.n.pending.Put(r.p)
	}
}

// open is true while somebody waits.
func (r reply) open() bool { return r.p != nil && r.p.ticket.Load() == r.ticket }

// late is true for a call that nobody waits for any more.
func (r reply) late(n *Node) bool {
	return r.p != nil && (!r.open() || r.p.abroad != nil && r.p.due.Load() <= n.now())
}

func (p *pending) wake() {
	if p.state.Swap(answered) == parked {
		p.done <- struct{}{}
	}
}

// wait returns the answer. The end of ctx, if it is not nil, is one too.
func (r reply) wait(ctx context.Context) (v any, err error) {
	p := r.p
	if p.state.CompareAndSwap(running, parked) {
		if ctx == nil {
			<-p.done
		} else {
			p.park(r, ctx)
		}
	}
	v, err = p.value, p.err
	p.value, p.err = nil, nil
	if !p.left && p.request.taken {
		p.request.taken = false
		p.n.pending.Put(p)
	}
	return v, err
}

func (p *pending) park(r reply, ctx context.Context) {
	select {
	case <-p.done:
	case <-ctx.Done():
		r.end(context.Cause(ctx))
		<-p.done // from there, or from whoever was first
	}
}
