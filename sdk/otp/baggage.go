package otp

import (
	"fmt"
	"slices"
	"time"
)

// baggage is what a process has beside its state, in a row. Few have any.
type baggage struct {
	Suspended bool      `cbor:"suspended,omitempty"`
	Mail      []letter  `cbor:"mail,omitempty"`
	Timers    []alarm   `cbor:"timers,omitempty"`
	Idle      Timer     `cbor:"idle,omitempty"`
	Links     []PID     `cbor:"links,omitempty"`
	Watchers  []eye     `cbor:"watchers,omitempty"`
	Names     []Name    `cbor:"names,omitempty"`
	Topics    []string  `cbor:"topics,omitempty"`
	Owed      []address `cbor:"owed,omitempty"`
}

// alarm is a timer, eye a monitor.
type (
	alarm struct {
		ID      Timer  `cbor:"id"`
		Due     int64  `cbor:"due"` // by the node's clock
		Message letter `cbor:"message"`
	}
	eye struct {
		Ref Ref `cbor:"ref"`
		By  PID `cbor:"by"`
	}
)

func (b *baggage) empty() bool {
	return !b.Suspended && len(b.Mail)+len(b.Timers)+len(b.Links)+len(b.Watchers)+len(b.Names)+len(b.Topics)+len(b.Owed) == 0
}

// busy is true if the process will do something without being called: then the next version makes it at once.
func (b *baggage) busy() bool { return len(b.Mail)+len(b.Timers)+len(b.Topics) > 0 }

// pack is the baggage of a process that the caller has made busy. The mail is only whole while the node is frozen.
func (p *process) pack(mail bool) (b baggage, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b.Suspended = p.paused
	if mail {
		if b.Mail, err = p.letters(); err != nil {
			return b, err
		}
	}
	return b, p.packMore(&b)
}

// packMore is for those who hold the lock.
func (p *process) packMore(b *baggage) error {
	m := p.more
	if m == nil {
		return nil
	}
	for id, t := range m.timers {
		l, err := p.kind().letter(t.message)
		if err != nil {
			return fmt.Errorf("a timer of process %s: %w", p.pid, err)
		}
		b.Timers = append(b.Timers, alarm{id, t.due, l})
	}
	slices.SortFunc(b.Timers, func(x, y alarm) int { return int(x.Due - y.Due) })
	if m.timers[m.idle] != nil {
		b.Idle = m.idle
	}
	for pid := range m.links {
		b.Links = append(b.Links, pid)
	}
	slices.Sort(b.Links)
	for _, w := range m.watchers {
		if w.tell == nil {
			b.Watchers = append(b.Watchers, eye{w.ref, w.by})
		}
	}
	b.Names, b.Topics = slices.Clone(m.names), slices.Clone(m.topics)
	for _, to := range m.owed {
		if a := to.address(); a != nil {
			b.Owed = append(b.Owed, *a)
		}
	}
	return nil
}

// letters are the messages that wait, the oldest first; those for which nobody waits any more are left out.
func (p *process) letters() (list []letter, err error) {
	p.in.each(func(m *mail) {
		to := m.reply.address()
		if err != nil || m.reply.p != nil && to == nil || m.reply.late(p.n) {
			return
		}
		var l letter
		if l, err = p.kind().letter(m.body); err != nil {
			err = fmt.Errorf("the mailbox of process %s: %w", p.pid, err)
			return
		}
		if l.Counted, l.Reply = m.counted, to; to != nil {
			l.Deadline = m.reply.p.due.Load()
		}
		list = append(list, l)
	})
	return list, err
}

// unpack gives a new process, that nobody has seen yet, what it had. Its timers run from now on.
func (p *process) unpack(b baggage, names map[string]message) error {
	p.paused = b.Suspended
	for _, l := range b.Mail {
		body, err := l.open(names)
		if err != nil {
			return err
		}
		m := p.n.mail()
		m.body, m.counted, m.reply = body, l.Counted, l.Reply.reply()
		if m.reply.p != nil && m.reply.p.abroad != nil {
			m.reply.p.due.Store(l.Deadline)
		}
		if m.counted {
			p.held.Add(1)
		}
		p.in.put(m)
	}
	b.Mail, b.Suspended = nil, false
	if b.empty() {
		return nil
	}
	m := &more{names: b.Names, topics: b.Topics, idle: b.Idle}
	p.more, p.armed = m, b.Idle != 0
	for _, pid := range b.Links {
		m.add(pid)
	}
	for _, w := range b.Watchers {
		m.watchers = append(m.watchers, watcher{ref: w.Ref, by: w.By})
	}
	for i := range b.Owed {
		m.owed = append(m.owed, b.Owed[i].reply())
	}
	return p.unpackTimers(b.Timers, names)
}

func (p *process) unpackTimers(list []alarm, names map[string]message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range list {
		body, err := a.Message.open(names)
		if err != nil {
			return err
		}
		t := &timer{p: p, id: a.ID, message: body, due: a.Due}
		p.more.set(t, max(0, time.Duration(a.Due-p.n.now())))
	}
	return nil
}
