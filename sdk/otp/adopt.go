package otp

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// reset forgets the processes of an earlier wake: another version has had them since.
func (n *Node) reset() {
	n.stopLoading()
	n.wakes.Add(1)
	n.keeping.take()
	n.frozen, n.handover = nil, 0
	old := n.procs.reset()
	n.names.mu.Lock()
	n.names.unique = map[Name]PID{}
	n.names.mu.Unlock()
	n.groups.mu.Lock()
	n.groups.topics = map[string]*topic{}
	n.groups.mu.Unlock()
	n.phase.mu.Lock()
	n.phase.late = nil
	n.phase.mu.Unlock()
	if len(old) > 0 {
		go retire(n, old)
	}
}

// pace is how long work that nobody waits for rests after each bit, so that it takes no processor from the calls that
// come at once after a switch.
const pace = 2 * time.Millisecond

func breathe(ctx context.Context) {
	select {
	case <-time.After(pace):
	case <-ctx.Done():
	}
}

// retire ends what forgotten processes have outside of themselves.
func retire(ctx context.Context, old []*chunk) {
	for i, c := range old {
		if i > 0 {
			breathe(ctx)
		}
		for j := range c.procs {
			if p := c.procs[j].Load(); p != nil {
				p.retire()
			}
		}
	}
}

func (p *process) retire() {
	p.ended.Store(true)
	p.mu.Lock()
	m := p.more
	p.more = nil
	p.mu.Unlock()
	if m == nil {
		return
	}
	for _, t := range m.timers {
		t.stop()
	}
	if m.cancel != nil {
		m.cancel(ErrAsleep)
	}
	for _, w := range m.watchers {
		if w.tell != nil {
			w.tell(ErrAsleep)
		}
	}
}

// adopt makes the processes that the log has those of this node. Nothing of theirs is read but their number.
func (n *Node) adopt(b *book) error {
	if b.Lineage == 0 {
		b.Lineage = rand.Uint64() | 1
	}
	n.lineage.Store(b.Lineage)
	n.refs.Store(max(n.refs.Load(), b.Refs))
	n.crashed = b.Handover == 0
	if n.crashed {
		b.Next, b.Live, b.Mail = 0, 0, nil
		b.Top += crashGap
		n.refs.Add(crashRefs)
		if err := n.afterCrash(b); err != nil {
			return err
		}
	} else {
		n.ahead.Add(b.Now - n.now())
	}
	n.collectOnce()
	if n.crashed {
		n.abroad.giveUp(ErrKilled) // the processes that they called, and nobody knows whether before they were handled
	}
	n.procs.begin(*b)
	n.lazy.Store(b.Live > 0)
	n.loading.mail, n.loading.next, n.loading.live = b.Mail, b.Next, b.Live
	n.loading.done, n.loading.free = make(chan struct{}), false
	return nil
}

// fetch makes a process out of its row, unless there is none, or it was one already.
func (n *Node) fetch(pid PID) *process {
	n.fetching.Lock()
	defer n.fetching.Unlock()
	if found := n.procs.get(pid); found != nil || n.phase.now.Load() == asleep || !n.procs.unseen(pid) {
		return found
	}
	key := pid.key()
	for _, w := range n.ledger.wards {
		if n.crashed && !w.k.persist {
			continue
		}
		state, ok, err := w.rows.get(key)
		if !ok {
			continue
		}
		p := newProcess(n, w.k)
		p.pid, p.state = pid, state
		if err == nil {
			err = n.onlyIn(w, key)
		}
		if err == nil {
			err = n.unpack(p, key, w)
		}
		if err != nil {
			n.ledger.log.Error("a process cannot be read from the log", "process", pid, "behaviour", w.k.name, "error", err)
			return nil
		}
		return p
	}
	return nil
}

// unpack gives a fetched process its baggage and its place. It runs if it has mail.
func (n *Node) unpack(p *process, key string, w *ward) error {
	bag, err := n.baggage(p, key)
	if err != nil {
		return err
	}
	p.word.Store(busy)
	if w.k.restore != nil {
		p.signals.put(&mail{body: signal(p.restore)})
	}
	if err := p.unpack(bag, w.messages); err != nil {
		p.retire() // its timers run already
		return err
	}
	n.procs.place(p)
	if n.crashed {
		p.touch()
	}
	n.names.mu.Lock()
	for _, name := range bag.Names {
		if n.names.unique[name] == 0 {
			n.names.unique[name] = p.pid
		}
	}
	n.names.mu.Unlock()
	for _, topic := range bag.Topics {
		n.groups.add(topic, p)
	}
	p.yield()
	return nil
}

// baggage is what a fetched process has beside its state: after a crash its names.
func (n *Node) baggage(p *process, key string) (bag baggage, err error) {
	p.flags.Store(rowed)
	if n.crashed {
		p.flags.Or(bagged) // of the time before
		bag.Names = n.bearing[p.pid]
		delete(n.bearing, p.pid)
		return bag, nil
	}
	bag, ok, err := n.ledger.bag(key)
	if ok {
		p.flags.Or(bagged)
	}
	return bag, err
}

// restore is the first thing that a process does which has come from another version, or from before a crash.
func (p *process) restore(c *Ctx) {
	if c == nil {
		return
	}
	if err := guarded(c, func(c *Ctx) error { return p.kind().restore(c, p.state) }); err != nil {
		p.fail(c, err, nil, reply{}, nil)
	}
}

// loading brings those processes to life that have something to do: mail, timers, topics.
type loading struct {
	mail []PID
	next uint32
	live int64
	done chan struct{} // closed when all have come
	stop context.CancelFunc
	over chan struct{} // closed when the loader has ended; nil if there is none
	free bool          // the places that nobody has are known; the loader's while there is one
}

// load goes on where a freeze has cut it short.
func (n *Node) load() {
	n.stopLoading()
	if n.loading.free {
		return
	}
	ctx, cancel := context.WithCancel(n)
	over := make(chan struct{})
	n.loading.stop, n.loading.over = cancel, over
	go func() {
		defer close(over)
		if err := n.loadRest(ctx); err != nil && ctx.Err() == nil {
			n.ledger.log.Error("the processes cannot be read from the log", "error", err)
		}
	}()
}

func (n *Node) loadRest(ctx context.Context) error {
	select {
	case <-n.loading.done:
	default:
		err := n.loadAll(ctx)
		if ctx.Err() != nil {
			return err
		}
		close(n.loading.done)
		if err != nil {
			return err
		}
	}
	err := n.findFree(ctx)
	n.loading.free = err == nil
	return err
}

func (n *Node) stopLoading() {
	if n.loading.over != nil {
		n.loading.stop()
		<-n.loading.over
		n.loading.over = nil
	}
}

func (n *Node) loadAll(ctx context.Context) error {
	if n.crashed {
		return errors.Join(n.sweep(ctx), n.renewBags(ctx))
	}
	for _, pid := range n.loading.mail {
		n.find(pid)
	}
	return scan(ctx, keysOf(n.ledger.bags[1]), func(_ string, pid PID) error {
		n.find(pid)
		return nil
	})
}

// findFree finds the places that no process of the log has, if there are any. Until then new processes get new places.
func (n *Node) findFree(ctx context.Context) error {
	if int64(n.loading.next) == n.loading.live {
		return nil
	}
	taken := make([]uint64, n.loading.next/64+1)
	for _, w := range n.ledger.wards {
		err := scan(ctx, slowly(ctx, w.rows.scan), func(_ string, pid PID) error {
			if slot := pid.slot(); slot < n.loading.next {
				taken[slot/64] |= 1 << (slot % 64)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for from := uint32(0); from < n.loading.next; from += chunkSize {
		n.procs.free64(taken, from, min(from+chunkSize, n.loading.next))
	}
	return nil
}

// slowly rests before each bit of a scan.
func slowly(ctx context.Context, next func(uint64) ([]string, uint64)) func(uint64) ([]string, uint64) {
	return func(cursor uint64) ([]string, uint64) {
		breathe(ctx)
		return next(cursor)
	}
}

// awaitLoaded is for those who need to see all processes that have joined something. It does not outlast s, nor the node.
func (n *Node) awaitLoaded(s Scope) {
	if !n.lazy.Load() {
		return
	}
	select {
	case <-n.loading.done:
	case <-s.Done():
	case <-n.Done():
	}
}

// known is true for a process that is here, or waits in the log.
func (n *Node) known(pid PID) bool {
	lazy := n.lazy.Load()
	here, unseen := n.procs.knows(pid)
	if here || !lazy || !unseen {
		return here
	}
	if !n.crashed {
		return true
	}
	return n.ledger.persists(n.ledger.wards, pid.key())
}
