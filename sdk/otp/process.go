package otp

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// process is what there is of one while it is idle. Whoever has made word busy runs it, and alone touches state, paused
// and the emptying ends of both queues. more is under mu.
type process struct {
	pid     PID
	n       *Node
	of      atomic.Pointer[kind] // only ChangeCode stores another one
	state   any                  // a *S
	word    atomic.Int32
	held    atomic.Int32 // messages that count towards the bound
	ended   atomic.Bool
	waited  atomic.Int32  // handlers of other processes that wait for this one
	flags   atomic.Uint32 // listed, rowed, bagged, left
	paused  bool          // suspended
	armed   bool          // an idle timeout runs
	trace   func(Event)
	handled uint64
	in      inbox
	signals inbox
	current atomic.Pointer[Ctx]     // in which a message is being handled
	waits   atomic.Pointer[process] // that this one calls

	mu   sync.Mutex
	more *more // nil while there is nothing in it
}

func newProcess(n *Node, k *kind) *process {
	p := &process{n: n}
	p.of.Store(k)
	return p
}

func (p *process) kind() *kind { return p.of.Load() }

// more is what few processes have.
type more struct {
	links    map[PID]bool
	watchers []watcher
	names    []Name
	topics   []string
	timers   map[Timer]*timer
	idle     Timer
	owed     []reply // deferred answers
	ctx      context.Context
	cancel   context.CancelCauseFunc
}

const (
	idle int32 = iota
	busy
)

// batchSize is how many messages a process handles before others get the processor.
const batchSize = 300

var errDead = errors.New("otp: the process has ended")

// send posts a message that nobody waits for.
func (p *process) send(body any) error {
	m := p.n.mail()
	m.body, m.counted = body, true
	return p.post(m)
}

// post puts a message into the mailbox.
func (p *process) post(m *mail) error {
	err := p.place(m)
	if err == nil {
		p.wakeOrRefuse()
	}
	return err
}

// place is post without what has to follow.
func (p *process) place(m *mail) error {
	if bound := p.kind().bound; bound == 0 {
		m.counted = false
	} else if m.counted && p.held.Add(1) > bound {
		p.held.Add(-1)
		return ErrOverloaded
	}
	if p.ended.Load() {
		return errDead
	}
	p.in.put(m)
	return nil
}

// wakeOrRefuse follows each put: whoever ended the process meanwhile may not have seen what was put.
func (p *process) wakeOrRefuse() {
	if p.ended.Load() {
		p.refuse()
		return
	}
	p.wake()
}

// tell delivers what is never refused.
func (p *process) tell(body any) {
	m := p.n.mail()
	m.body = body
	_ = p.post(m)
}

// wake has a process run that has something to do. It is listed before whoever wakes it leaves the gate.
func (p *process) wake() {
	if p.word.Load() == idle && p.word.CompareAndSwap(idle, busy) {
		p.touch()
		go p.run()
	}
}

// run handles signals and mail until there are none.
func (p *process) run() {
	c := &Ctx{p: p}
	defer c.spares.flush(p.n)
	for {
		p.touch()
		if !p.turn(c, reply{}) {
			p.refuse() // what this goroutine had taken over when another one ended the process
			return     // busy for ever
		}
		paused := p.paused
		if p.takes(paused) && !p.in.empty() {
			runtime.Gosched()
			continue
		}
		if c.to.p != nil { // whoever has got an answer may have the next question
			c.to = reply{}
			runtime.Gosched()
			continue
		}
		if !p.rest(paused) {
			return
		}
	}
}

// inlineDepth is how many handlers may run one inside of the other on one goroutine.
const inlineDepth = 16

// serve runs a process, that the caller has made its own, in the caller's goroutine until its call is answered. What
// there is to do beyond that is for a goroutine of the process.
func (p *process) serve(call reply, depth int) {
	c := &Ctx{p: p, depth: depth}
	alive := p.turn(c, call)
	c.spares.flush(p.n)
	switch {
	case !alive:
		p.refuse()
	case p.rest(p.paused):
		go p.run()
	}
}

// rest makes the process idle; true says that it is busy again, for something came. It is inside a gate meanwhile: whoever
// halts the node finds it idle, or busy and listed.
func (p *process) rest(paused bool) bool {
	g := p.n.gate()
	defer g.leave()
	p.word.Store(idle)
	if !p.work(paused) || !p.word.CompareAndSwap(idle, busy) {
		return false
	}
	p.touch()
	return true
}

// work is true if something came; anybody may ask.
func (p *process) work(paused bool) bool {
	return !p.signals.empty() || p.takes(paused) && !p.in.empty()
}

// takes is true while the process handles mail: not if it is suspended, and in a node that is halted only what
// handlers which have not ended yet wait for.
func (p *process) takes(paused bool) bool {
	return !paused && (!p.n.halted() || p.waited.Load() > 0)
}

// yield gives up a process that somebody has made busy without running it.
func (p *process) yield() {
	paused := p.paused
	p.word.Store(idle)
	if p.work(paused) {
		p.wake()
	}
}

// turn is one batch, or less of it once a call is answered; false says that the process has ended. So it has too if
// something that is no handler ends the goroutine: Terminate, or what a sys verb runs.
func (p *process) turn(c *Ctx, until reply) bool {
	returned := false
	defer func() {
		if !returned {
			p.crash(ErrGoexit, debug.Stack(), c.to, nil)
			p.refuse()
		}
	}()
	alive := p.batch(c, until)
	returned = true
	return alive
}

func (p *process) batch(c *Ctx, until reply) bool {
	for range batchSize {
		if p.ended.Load() {
			return false
		}
		if until.p != nil && !(until.open() && p.kind().inline) {
			return true // the rest is for a goroutine of the process, and so is all once it has changed its code
		}
		if s := p.signals.take(); s != nil {
			s.do(c)
			continue
		}
		if !p.takes(p.paused) {
			return true
		}
		m := p.in.take()
		if m == nil {
			return true
		}
		if p.ended.Load() {
			m.reply.answer(nil, &Exit{PID: p.pid, Reason: ErrNoProc})
			return false
		}
		p.handle(c, m)
	}
	return !p.ended.Load()
}

// open takes out of its mail what is to be handled.
func (p *process) open(c *Ctx, m *mail) (body any, to reply) {
	if m.counted {
		p.held.Add(-1)
	}
	body, to = m.body, m.reply
	if to.p != nil && m == &to.p.request {
		m.body, m.taken = nil, true
	} else {
		c.spares.add(p.n, m)
	}
	return body, to
}

func (p *process) handle(c *Ctx, m *mail) {
	body, to := p.open(c, m)
	if to.late(p.n) {
		return // whoever called has given up
	}
	p.disarm()
	p.handled++
	if p.trace != nil {
		p.trace(Event{PID: p.pid, Message: body})
	}
	c.to = to
	p.current.Store(c)
	stack, reason := p.invoke(c, body, to)
	p.settle(c, reason, stack, to, body)
}

// settle follows each handler.
func (p *process) settle(c *Ctx, reason error, stack []byte, to reply, body any) {
	if !p.current.CompareAndSwap(c, nil) {
		p.n.orphans.Add(-1) // it was killed meanwhile
		return
	}
	if reason == nil {
		return
	}
	var stop *stopping
	if errors.As(reason, &stop) {
		reason = stop.reason
	}
	p.fail(c, reason, stack, to, body)
}

// invoke runs a handler and what it wants to follow. An error is the end of the process. If the handler ends its goroutine,
// so does invoke.
func (p *process) invoke(c *Ctx, body any, to reply) (stack []byte, err error) {
	returned := false
	defer func() {
		switch v := recover(); {
		case v != nil:
			stack = debug.Stack()
			err = &PanicError{Value: v, Stack: stack}
		case !returned:
			p.settle(c, ErrGoexit, debug.Stack(), c.to, body)
		}
	}()
	err = p.dispatch(c, body, to)
	for next, on := err.(*going); on; next, on = err.(*going) {
		body = next.message
		err = p.dispatch(c, body, reply{})
	}
	if i, ok := err.(*idling); ok {
		p.arm(i)
		err = nil
	}
	returned = true
	return nil, err
}

func (p *process) dispatch(c *Ctx, body any, to reply) error {
	if h := p.kind().handlers[typeID(reflect.TypeOf(body))]; h != nil {
		return h(c, p.state, body, to)
	}
	if to.p != nil {
		to.answer(nil, ErrNoHandler)
		return nil
	}
	if p.kind().info != nil {
		return p.kind().info(c, p.state, body)
	}
	return nil
}

// fail ends the process from inside: Terminate sees the state for the last time.
func (p *process) fail(c *Ctx, reason error, stack []byte, to reply, body any) {
	p.terminate(c, reason)
	p.crash(reason, stack, to, body)
}

func (p *process) crash(reason error, stack []byte, to reply, body any) {
	exit := &Exit{PID: p.pid, Reason: reason, Stack: stack}
	if p.end(reason, stack) && !orderly(reason) {
		p.n.crashes.Add(1)
		if p.n.onCrash != nil {
			p.n.onCrash(Crash{PID: p.pid, Behaviour: p.kind().name, Reason: reason, Stack: stack, Message: body})
		}
	}
	to.answer(nil, exit)
}

func (p *process) terminate(c *Ctx, reason error) {
	if p.kind().terminate == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil && p.n.onCrash != nil {
			p.n.onCrash(Crash{
				PID: p.pid, Behaviour: p.kind().name, Reason: &PanicError{Value: v}, Stack: debug.Stack(),
			})
		}
	}()
	p.kind().terminate(c, p.state, reason)
}

// end is the end: nobody finds the process any more, and all who wait for it are told. Only the first one ends it. A
// handler that still runs is an orphan from then on.
func (p *process) end(reason error, stack []byte) bool {
	p.n.ending.Add(1)
	defer p.n.ending.Add(-1)
	if !p.ended.CompareAndSwap(false, true) {
		return false
	}
	p.n.erase(p)
	p.n.procs.remove(p)
	p.mu.Lock()
	m := p.more
	p.more = nil
	p.mu.Unlock()
	exit := &Exit{PID: p.pid, Reason: reason, Stack: stack}
	p.cutOff(exit)
	if m != nil {
		p.leave(m, exit)
	}
	p.refuse()
	return true
}

// cutOff makes a handler that runs an orphan: whoever waits for it has an answer, and so has the handler if it waits.
func (p *process) cutOff(exit *Exit) {
	running := p.current.Swap(nil)
	if running == nil {
		return
	}
	p.n.orphans.Add(1)
	running.to.answer(nil, exit)
	if r := running.calling.Load(); r != nil {
		r.end(exit)
	}
}

// refuse answers all that waits in the queues of a process that has ended.
func (p *process) refuse() {
	p.in.drain(func(m *mail) { m.reply.answer(nil, &Exit{PID: p.pid, Reason: ErrNoProc}) })
	p.signals.drain(func(m *mail) { m.do(nil) })
}

// with gives f what few processes have; false says that the process has ended.
func (p *process) with(f func(m *more)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended.Load() {
		return false
	}
	if p.more == nil {
		p.more = new(more)
	}
	f(p.more)
	p.touch()
	return true
}
