package otp

import "time"

// Idle is the message of an idle timeout.
type Idle struct{}

// IdleTimeout, as the error of a handler, sends [Idle] to the process unless another message comes within d.
func IdleTimeout(d time.Duration) error { return &idling{int64(d)} }

// Timer is a message that is to come.
type Timer struct {
	p       *process
	t       *time.Timer
	message any
	due     time.Time
}

// SendAfter sends a message to the process itself after d. It is never refused, and vanishes with the process.
func (c *Ctx) SendAfter(d time.Duration, message any) *Timer { return c.p.after(d, message) }

func (p *process) after(d time.Duration, message any) *Timer {
	t := &Timer{p: p, message: message, due: time.Now().Add(d)}
	p.with(func(m *more) {
		if m.timers == nil {
			m.timers = map[*Timer]bool{}
		}
		m.timers[t] = true
		t.t = time.AfterFunc(d, t.fire)
	})
	return t
}

func (t *Timer) fire() {
	live := false
	t.p.with(func(m *more) {
		live = m.timers[t]
		delete(m.timers, t)
	})
	if live {
		t.p.tell(t.message)
	}
}

// Cancel stops a timer; true says that the message will not come.
func (t *Timer) Cancel() bool {
	live := false
	t.p.with(func(m *more) {
		live = m.timers[t]
		delete(m.timers, t)
		t.stop()
	})
	return live
}

// stop is for those who hold the lock, or after the end.
func (t *Timer) stop() {
	if t.t != nil {
		t.t.Stop()
	}
}

// arm begins an idle timeout; disarm ends it, when a message comes.
func (p *process) arm(i *idling) {
	t := p.after(time.Duration(i.after), Idle{})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.more != nil {
		p.more.idle = t
		p.armed = true
	}
}

func (p *process) disarm() {
	if !p.armed {
		return
	}
	p.armed = false
	p.mu.Lock()
	var t *Timer
	if p.more != nil {
		t, p.more.idle = p.more.idle, nil
	}
	p.mu.Unlock()
	if t != nil {
		t.Cancel()
	}
}
