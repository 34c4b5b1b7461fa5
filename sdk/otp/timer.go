package otp

import "time"

// Idle is the message of an idle timeout.
type Idle struct{}

// IdleTimeout, as the error of a handler, sends [Idle] to the process unless another message comes within d.
func IdleTimeout(d time.Duration) error { return &idling{int64(d)} }

// Timer names a message that is to come. It is plain data and may be kept in a state; 0 names none.
type Timer uint64

// timer is what there is of one. It is under the lock of its process.
type timer struct {
	p       *process
	id      Timer
	t       *time.Timer
	message any
	due     int64  // by the node's clock
	wake    uint64 // of the node: see Node.wakes
}

// SendAfter sends a message to the process itself after d. It is never refused, and vanishes with the process.
func (c *Ctx) SendAfter(d time.Duration, message any) Timer { return c.p.after(d, message) }

// Cancel stops a timer of this process; true says that the message will not come.
func (c *Ctx) Cancel(id Timer) bool { return c.p.cancel(id) }

func (p *process) after(d time.Duration, message any) Timer {
	t := &timer{p: p, id: Timer(p.n.refs.Add(1)), message: message, due: p.n.now() + int64(d)}
	p.with(func(m *more) { m.set(t, d) })
	return t.id
}

func (m *more) set(t *timer, d time.Duration) {
	if m.timers == nil {
		m.timers = map[Timer]*timer{}
	}
	m.timers[t.id] = t
	t.wake = t.p.n.wakes.Load()
	t.t = time.AfterFunc(d, t.fire)
}

// fire puts the message into the mailbox in one step with the end of the timer: whoever looks at a process finds one of
// them. While the node is halted the timer stays, and is due when the node goes on.
func (t *timer) fire() {
	if t.spend() {
		t.p.touch()
		t.p.wakeOrRefuse()
	}
}

func (t *timer) spend() bool {
	p := t.p
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case t.wake != p.n.wakes.Load(): // another version has had the process since
		return false
	case p.more == nil || p.more.timers[t.id] != t:
		return false
	case p.n.halted() && p.n.postpone(t):
		return false
	}
	delete(p.more.timers, t.id)
	m := p.n.mail()
	m.body = t.message
	p.in.put(m)
	return true
}

func (p *process) cancel(id Timer) bool {
	var t *timer
	p.with(func(m *more) {
		if t = m.timers[id]; t != nil {
			delete(m.timers, id)
			t.stop()
		}
	})
	return t != nil
}

// stop is for those who hold the lock, or after the end.
func (t *timer) stop() {
	if t.t != nil {
		t.t.Stop()
	}
}

// arm begins an idle timeout; disarm ends it, when a message comes.
func (p *process) arm(i *idling) {
	id := p.after(time.Duration(i.after), Idle{})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.more != nil {
		p.more.idle = id
		p.armed = true
	}
}

func (p *process) disarm() {
	if !p.armed {
		return
	}
	p.armed = false
	p.mu.Lock()
	var id Timer
	if p.more != nil {
		id, p.more.idle = p.more.idle, 0
	}
	p.mu.Unlock()
	if id != 0 {
		p.cancel(id)
	}
}
