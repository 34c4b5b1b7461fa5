package otp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Freeze stops the processes between two messages and leaves all that they are in the log, for this or another version
// to wake up. Handlers that run are finished, and those of others that they wait for. It fails if a handler does not end
// before ctx does, or if something cannot be written; then everything goes on.
func (h *Hosted) Freeze(ctx context.Context) error {
	return h.sleep(ctx, func(ctx context.Context) error { return h.n.root.stop(ctx) }, h.n.still)
}

func (h *Hosted) sleep(ctx context.Context, stopRoot func(context.Context) error, still stilling) error {
	n := h.n
	if n.phase.now.Load() == asleep {
		return nil
	}
	if err := h.Keep(ctx, func(uint64, uint64) {}); err != nil {
		return err
	}
	if err := stopRoot(ctx); err != nil {
		n.root.again(n)
		return err
	}
	n.stopCopier()
	n.stopLoading()
	n.phase.set(halting)
	err := n.freeze(ctx, still)
	if err != nil {
		n.goOn()
		n.root.again(n)
		return err
	}
	n.phase.set(asleep)
	lineages.CompareAndDelete(n.lineage.Load(), n)
	go n.collect()
	return nil
}

// Thaw takes a Freeze back.
func (h *Hosted) Thaw() error {
	n := h.n
	if n.phase.now.Load() != asleep || n.handover == 0 {
		return nil
	}
	if err := n.writeBook(0); err != nil {
		return err
	}
	n.goOn()
	n.root.again(n)
	return nil
}

// stilling is how a node comes to rest: see still.
type stilling func(ctx context.Context) ([]*process, error)

func (n *Node) freeze(ctx context.Context, still stilling) error {
	for ended := true; ended; {
		owned, err := still(ctx)
		n.frozen = owned
		if err == nil {
			ended, err = n.writeFrozen()
		}
		if err != nil {
			return err
		}
		if ended {
			n.unfreeze() // those that are told of it have something to do, and are written once more
		}
	}
	n.handover = rand.Uint64()
	return n.writeBook(n.handover)
}

// unfreeze gives up what is owned. It stays listed.
func (n *Node) unfreeze() {
	owned := n.frozen
	n.frozen = nil
	n.keeping.giveBack(owned)
	n.disown(owned)
}

// stillEvery is how often a node that halts looks whether it is still.
const stillEvery = 50 * time.Microsecond

// still returns when no process runs, with those that may differ from their rows; they are busy from then on. A process
// is listed before it runs, and listed ones are owned all at once: so there is an instant at which none ran or was about
// to end, and since nothing is sent or handled any more, that stays so.
func (n *Node) still(ctx context.Context) ([]*process, error) {
	tick := time.NewTicker(stillEvery)
	defer tick.Stop()
	for {
		var running *process
		if n.phase.empty() {
			var owned []*process
			var all bool
			if owned, running, all = n.ownAll(); all {
				return owned, nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if running == nil {
				return nil, errors.New("otp: the node does not come to rest")
			}
			return nil, fmt.Errorf("otp: process %s (%s) does not end what it handles", running.pid, running.kind().name)
		}
	}
}

// ownAll owns all that is listed, or nothing: then it returns one that runs, unless there are only some about to end.
func (n *Node) ownAll() (owned []*process, running *process, all bool) {
	list := n.keeping.take()
	for i, p := range list {
		switch {
		case p.ended.Load():
			p.flags.And(^listed)
			n.erase(p)
			continue
		case p.own():
			owned = append(owned, p)
			if p.signals.empty() {
				continue
			}
		}
		n.disown(owned)
		n.keeping.giveBack(append(unlessOwned(owned, p), list[i:]...))
		return nil, p, false
	}
	n.keeping.mu.Lock()
	defer n.keeping.mu.Unlock()
	ending := n.ending.Load() > 0 // before the list: whoever was told has been listed
	late := n.keeping.list
	if !ending && len(late) == 0 {
		return owned, nil, true
	}
	n.keeping.list = append(owned, late...)
	n.disown(owned)
	if len(late) > 0 {
		running = late[0]
	}
	return nil, running, false
}

// unlessOwned is owned without p.
func unlessOwned(owned []*process, p *process) []*process {
	if n := len(owned); n > 0 && owned[n-1] == p {
		return owned[:n-1]
	}
	return owned
}

func (n *Node) disown(owned []*process) {
	for _, p := range owned {
		p.yield()
	}
}

// writeFrozen brings the rows up to date, mail included. A process whose state the version before cannot hold ends:
// its supervisor there starts it afresh.
func (n *Node) writeFrozen() (ended bool, err error) {
	for _, p := range n.frozen {
		err := n.write(p, true)
		switch {
		case noWayDown(err):
			n.ledger.log.Error("a process ends, as the version before cannot hold its state", "process", p.pid, "behaviour", p.kind().name, "error", err)
			ended = p.end(err, nil) || ended
		case err != nil:
			return ended, err
		}
	}
	return ended, nil
}

// writeBook writes the row of the node. A handover other than 0 says that its processes are whole in the log.
func (n *Node) writeBook(handover uint64) error {
	b := book{
		Handover: handover, Lineage: n.lineage.Load(), Version: n.ledger.version, Now: n.now(), Refs: n.refs.Load(),
		Messages: n.ledger.shapes(),
	}
	b.Next, b.Top, b.Live = n.procs.extent()
	n.reserved.upTo.Store(b.Top + crashGap/2)
	for _, p := range n.frozen {
		if !p.in.empty() && !p.paused && !p.ended.Load() {
			b.Mail = append(b.Mail, p.pid)
		}
	}
	return n.ledger.books.Put(bookKey, b)
}

// reserved are the PIDs that no run after a crash gives to other processes.
type reserved struct {
	turn sync.Mutex
	upTo atomic.Uint32 // generations; the log has room for as many again
}

// reserve sees to it that the PID of a new process is one of them.
func (n *Node) reserve(pid PID) error {
	r := &n.reserved
	if n.ledger == nil || pid.generation() <= r.upTo.Load() {
		return nil
	}
	r.turn.Lock()
	defer r.turn.Unlock()
	if pid.generation() <= r.upTo.Load() {
		return nil
	}
	return n.writeBook(0)
}
