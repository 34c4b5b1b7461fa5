package otp

// Down is the message that a monitor sends.
type Down struct {
	Ref    Ref
	PID    PID
	Reason error
}

// Exited is the message of a process that traps exits, when a linked one ended or an exit signal came.
type Exited struct {
	PID    PID // 0 if the signal came from outside
	Reason error
}

// Ref names one monitor.
type Ref uint64

// watcher is told of the end of a process, as a message or as a call.
type watcher struct {
	ref    Ref
	by     PID
	tell   func(reason error)
	parent bool // a supervisor
}

func (w watcher) notify(n *Node, pid PID, reason error) {
	if w.tell != nil {
		w.tell(reason)
	} else if by := n.find(w.by); by != nil {
		by.tell(Down{Ref: w.ref, PID: pid, Reason: reason})
	}
}

// watch tells at once if the process has ended already, with the reason noproc.
func (p *process) watch(w watcher) {
	if !p.with(func(m *more) { m.watchers = append(m.watchers, w) }) {
		w.notify(p.n, p.pid, ErrNoProc)
	}
}

// Monitor has this process told with a [Down] when another one ends. Monitors stack; of a process that is not there the
// Down comes at once.
func Monitor[A Addr](c *Ctx, to A) Ref {
	w := watcher{ref: Ref(c.p.n.refs.Add(1)), by: c.p.pid}
	if p := to.resolve(c.p.n); p != nil {
		p.watch(w)
	} else {
		w.notify(c.p.n, 0, ErrNoProc)
	}
	return w.ref
}

// Demonitor ends a monitor. A Down that is on its way still comes.
func Demonitor(c *Ctx, to PID, ref Ref) {
	if p := to.resolve(c.p.n); p != nil {
		p.with(func(m *more) {
			for i, w := range m.watchers {
				if w.ref == ref && w.by == c.p.pid {
					m.watchers = append(m.watchers[:i:i], m.watchers[i+1:]...)
					return
				}
			}
		})
	}
}

// Link ties two processes: when one ends, the other gets an exit signal with the reason. Links are one for each pair.
// The link to a process that is not there is an exit signal at once.
func (c *Ctx) Link(to PID) {
	if q := to.resolve(c.p.n); q != nil {
		c.p.link(q)
		return
	}
	c.p.exit(to, ErrNoProc, false)
}

// Unlink unties them.
func (c *Ctx) Unlink(to PID) {
	c.p.with(func(m *more) { delete(m.links, to) })
	if q := to.resolve(c.p.n); q != nil {
		q.with(func(m *more) { delete(m.links, c.p.pid) })
	}
}

func (p *process) link(q *process) {
	if p == q || !p.with(func(m *more) { m.add(q.pid) }) {
		return
	}
	if !q.with(func(m *more) { m.add(p.pid) }) {
		p.with(func(m *more) { delete(m.links, q.pid) })
		p.exit(q.pid, ErrNoProc, false)
	}
}

func (m *more) add(pid PID) {
	if m.links == nil {
		m.links = map[PID]bool{}
	}
	m.links[pid] = true
}

// leave is what others see of the end.
func (p *process) leave(m *more, exit *Exit) {
	if m.cancel != nil {
		m.cancel(exit)
	}
	for _, t := range m.timers {
		t.stop()
	}
	p.n.unregister(p.pid, m.names)
	p.n.groups.leaveAll(p, m.topics)
	for _, to := range m.owed {
		to.answer(nil, exit)
	}
	for pid := range m.links {
		q := pid.resolve(p.n)
		if q != nil && q.with(func(m *more) { delete(m.links, p.pid) }) {
			q.exit(p.pid, linked(exit.Reason), false)
		}
	}
	for _, w := range m.watchers {
		w.notify(p.n, p.pid, exit.Reason)
	}
}

// linked is how the end of a process looks to those linked with it: killed is no kill for them.
func linked(reason error) error {
	if reason == ErrKilled {
		return &Exit{Reason: ErrKilled}
	}
	return reason
}

// owes notes an answer that is to be given later, so that it is an exit if the process ends first.
func (p *process) owes(to reply) {
	if to.p == nil {
		return
	}
	alive := p.with(func(m *more) {
		if len(m.owed) > 16 && len(m.owed) == cap(m.owed) {
			kept := m.owed[:0]
			for _, o := range m.owed {
				if o.open() {
					kept = append(kept, o)
				}
			}
			m.owed = kept
		}
		m.owed = append(m.owed, to)
	})
	if !alive {
		to.answer(nil, &Exit{PID: p.pid, Reason: ErrNoProc})
	}
}
