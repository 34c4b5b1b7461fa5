package otp

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/theseusd/theseus/sdk/state"
)

// Call sends a request and waits for its answer, until the deadline of s; without one, for DefaultTimeout. Errors are
// what the handler returned, *Exit if the process has ended or does so before it answers, ErrOverloaded, ErrCallSelf,
// ErrDeadlock, and the cause of the context. An answer that comes later is dropped; a request whose time is up before
// its turn is not executed.
func Call[R any, A Addr](s Scope, to A, m Request[R]) (answer R, err error) {
	v, err := call(s, to, m)
	if far, ok := v.(foreign); ok && err == nil {
		return state.Decode[R](far)
	}
	answer, _ = v.(R)
	return answer, err
}

// Cast sends a message that nobody waits for. It does not wait for the process. Only ErrOverloaded is reported, so that
// senders can do less, and ErrAsleep; a process that is not there takes all and does nothing, as in OTP.
func Cast[A Addr](s Scope, to A, m any) error {
	n := s.node()
	g, err := n.enter(s)
	if err != nil {
		return err
	}
	defer g.leave()
	p := to.resolve(n)
	if p == nil {
		return nil
	}
	ml := n.mail()
	ml.body, ml.counted = m, true
	if err := p.post(ml); err != nil && err != errDead {
		return err
	}
	return nil
}

// pending is a call that waits. It is used again for other calls, each under its own ticket: whoever closes the ticket
// first, by an answer or by giving up, has the say.
type pending struct {
	n      *Node
	id     uint64   // in the node
	abroad *address // of a call that waits in another process of the service; then there is nothing else
	done   chan struct{}
	ticket atomic.Uint64 // even while open
	timer  *time.Timer
	value  any
	err    error
}

func (n *Node) newPending() *pending {
	t := time.NewTimer(time.Hour)
	t.Stop()
	p := &pending{n: n, id: n.refs.Add(1), done: make(chan struct{}, 1), timer: t}
	p.ticket.Store(1)
	return p
}

// open begins a new call; the one before is closed.
func (p *pending) open() reply { return reply{p, p.ticket.Add(1)} }

// reply is where the answer of one call goes.
type reply struct {
	p      *pending
	ticket uint64
}

// answer gives the answer, unless there is one already or nobody waits.
func (r reply) answer(v any, err error) {
	if r.p == nil || !r.p.ticket.CompareAndSwap(r.ticket, r.ticket+1) {
		return
	}
	if r.p.abroad != nil {
		r.p.abroad.send(v, err)
		return
	}
	r.p.value, r.p.err = v, err
	r.p.done <- struct{}{}
}

// abandon gives up waiting. False says that there is an answer.
func (r reply) abandon() bool { return r.p.ticket.CompareAndSwap(r.ticket, r.ticket+1) }

// open is true while somebody waits.
func (r reply) open() bool { return r.p != nil && r.p.ticket.Load() == r.ticket }

// From is a call that waits for its answer. It is a value: keep it in a state, send it to others.
type From[R any] struct{ to reply }

// Answer answers the call; only the first answer counts.
func (f From[R]) Answer(v R, err error) { f.to.answer(v, err) }

// call puts the request into the mailbox and waits.
func call[A Addr](s Scope, to A, m any) (any, error) {
	n := s.node()
	timeout := DefaultTimeout
	if at, ok := s.Deadline(); ok {
		if timeout = time.Until(at); timeout <= 0 {
			return nil, context.DeadlineExceeded
		}
	}
	if from := s.caller(); from != nil {
		return n.callFrom(from, s, to, m, timeout)
	}
	g, err := n.enter(s)
	if err != nil {
		return nil, err
	}
	p := to.resolve(n)
	if p == nil {
		g.leave()
		return nil, &Exit{Reason: ErrNoProc}
	}
	r, err := n.request(p, m, timeout)
	g.leave()
	if err != nil {
		return nil, err
	}
	return n.await(s, r, timeout)
}

// callFrom is a call by a process. The one that it waits for runs even while the node halts.
func (n *Node) callFrom(from *process, s Scope, to Addr, m any, timeout time.Duration) (any, error) {
	p := to.resolve(n)
	if p == nil {
		return nil, &Exit{Reason: ErrNoProc}
	}
	if from == p {
		return nil, ErrCallSelf
	}
	from.waits.Store(p)
	defer from.waits.Store(nil)
	if p.waitsFor(from) {
		return nil, ErrDeadlock
	}
	p.waited.Add(1)
	defer p.waited.Add(-1)
	r, err := n.request(p, m, timeout)
	if err != nil {
		return nil, err
	}
	return n.await(s, r, timeout)
}

func (n *Node) request(p *process, m any, timeout time.Duration) (reply, error) {
	pe := n.pending.Get().(*pending)
	to := pe.open()
	ml := n.mail()
	ml.body, ml.reply, ml.deadline, ml.counted = m, to, n.now()+int64(timeout), true
	err := p.post(ml)
	if err == nil {
		return to, nil
	}
	to.abandon()
	n.pending.Put(pe)
	if err == errDead {
		err = &Exit{PID: p.pid, Reason: ErrNoProc}
	}
	return reply{}, err
}

func (n *Node) await(s Scope, to reply, timeout time.Duration) (v any, err error) {
	pe := to.p
	pe.timer.Reset(timeout)
	select {
	case <-pe.done:
	case <-pe.timer.C:
		err = context.DeadlineExceeded
	case <-s.Done():
		err = context.Cause(s)
	}
	if err != nil {
		if to.abandon() {
			return nil, err // the other side may still hold pe: it is not used again
		}
		<-pe.done // the answer came in the same instant
	}
	v, err = pe.value, pe.err
	pe.value, pe.err = nil, nil
	pe.timer.Stop()
	n.pending.Put(pe)
	return v, err
}

// waitsFor is true if p waits for q, directly or through others.
func (p *process) waitsFor(q *process) bool {
	for range 1000 { // others wait and stop waiting meanwhile: no path is longer in earnest
		if p = p.waits.Load(); p == nil {
			return false
		}
		if p == q {
			return true
		}
	}
	return false
}
