package otp

import (
	"context"
	"time"

	"github.com/theseusd/theseus/sdk/state"
)

// Call sends a request and waits for its answer, until the deadline of s; without one, for DefaultTimeout. Errors are
// what the handler returned, *Exit if the process has ended or does so before it answers, ErrOverloaded, ErrCallSelf,
// ErrDeadlock, and the cause of the context. An answer that comes later is dropped; a request whose caller has given
// up before its turn is not executed.
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
	if err := p.send(m); err != errDead {
		return err
	}
	return nil
}

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
	until := ending(s)
	if until != nil && until.Err() != nil {
		return nil, context.Cause(until)
	}
	if c := s.caller(); c != nil {
		return c.call(s, to.resolve(n), m, timeout)
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
	r, mine, err := n.request(p, m, timeout, 0)
	g.leave()
	if err != nil {
		return nil, err
	}
	if mine {
		p.serve(r, 1)
	}
	return r.wait(until)
}

// ending is the context whose end ends a call, nil if whoever ends answers all calls.
func ending(s Scope) context.Context {
	switch s.(type) {
	case *Node, *Ctx:
		return nil
	default:
		return s
	}
}

// call is one by a process. The one that it waits for runs even while the node halts.
func (c *Ctx) call(s Scope, to *process, m any, timeout time.Duration) (any, error) {
	switch to {
	case nil:
		return nil, &Exit{Reason: ErrNoProc}
	case c.p:
		return nil, ErrCallSelf
	}
	if c.p.ended.Load() {
		return nil, ErrNoProc
	}
	c.p.waits.Store(to)
	defer c.p.waits.Store(nil)
	if to.waitsFor(c.p) {
		return nil, ErrDeadlock
	}
	to.waited.Add(1)
	defer to.waited.Add(-1)
	r, mine, err := c.p.n.request(to, m, timeout, c.depth)
	if err != nil {
		return nil, err
	}
	until := ending(s)
	if c.p.current.Load() == c && c.calling.CompareAndSwap(nil, &r) {
		defer c.calling.Store(nil)
		if c.p.ended.Load() {
			r.end(ErrNoProc)
		}
	} else {
		until = s // from Init or Terminate, or beside another call of the same handler
	}
	if mine {
		to.serve(r, c.depth+1)
	}
	return r.wait(until)
}

// request puts a call into the mailbox. Whoever gets the process as its own has to serve it.
func (n *Node) request(p *process, m any, timeout time.Duration, depth int) (r reply, own bool, err error) {
	pe := n.pending.Get().(*pending)
	r = pe.open(m, n.now()+int64(timeout))
	if err = p.place(&pe.request); err == nil {
		if p.kind().inline && depth < inlineDepth && p.own() {
			p.touch()
			return r, true, nil
		}
		p.wakeOrRefuse()
		return r, false, nil
	}
	r.discard()
	if err == errDead {
		err = &Exit{PID: p.pid, Reason: ErrNoProc}
	}
	return reply{}, false, err
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
