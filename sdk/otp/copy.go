package otp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/theseusd/theseus/sdk/state"
)

// Flags of a process in a hosted node.
const (
	listed uint32 = 1 << iota // it may differ from its rows, and stands in the list of those
	rowed                     // its state has a row
	bagged                    // its baggage has one
	left                      // its rows stay, although it has ended
)

// keeping is the copy of the processes in the log, while somebody may take them over.
type keeping struct {
	on atomic.Bool

	mu   sync.Mutex // guards what follows
	list []*process // those that are listed
	stop context.CancelFunc
	done chan struct{} // closed when the copier has ended; nil if there is none
	more chan struct{} // the list is no longer empty

	turn sync.Mutex // held while processes are copied
}

// touch notes that a process may differ from its rows from now on. It comes before a change by the process itself,
// which is busy then, and after one by others.
func (p *process) touch() {
	if !p.n.keeping.on.Load() || p.flags.Load()&listed != 0 || p.flags.Or(listed)&listed != 0 {
		return
	}
	k := &p.n.keeping
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list = append(k.list, p)
	k.wake()
}

// wake has the copier look at the list.
func (k *keeping) wake() {
	select {
	case k.more <- struct{}{}:
	default:
	}
}

// take empties the list.
func (k *keeping) take() []*process {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := k.list
	k.list = nil
	return list
}

func (k *keeping) giveBack(list []*process) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list = append(k.list, list...)
	if len(k.list) > 0 {
		k.wake()
	}
}

// own makes an idle process busy, so that it stays as it is; false if it runs or has ended.
func (p *process) own() bool { return p.word.CompareAndSwap(idle, busy) }

// copiedAtOnce is after how many processes copyAll writes and tells how far it is.
const copiedAtOnce = 256

// copyAll writes every process once, but for those that are busy: they are listed.
func (n *Node) copyAll(ctx context.Context, progress func(done, total uint64)) error {
	var done uint64
	var err error
	write := func() error {
		if err := errors.Join(context.Cause(ctx), n.copyListed()); err != nil {
			return err
		}
		progress(done, max(done, uint64(n.procs.live.Load())))
		return nil
	}
	n.procs.each(func(p *process) bool {
		p.touch()
		if done++; done%copiedAtOnce == 0 {
			err = write()
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	return write()
}

// copyListed writes what is listed, and leaves in the list what is busy or could not be written. It returns the first
// error. A state that the version before cannot hold is none: the store has told of it, and see writeFrozen.
func (n *Node) copyListed() (first error) {
	n.keeping.turn.Lock()
	defer n.keeping.turn.Unlock()
	var left []*process
	for _, p := range n.keeping.take() {
		if p.ended.Load() {
			p.flags.And(^listed)
			n.erase(p)
			continue
		}
		if !p.own() {
			left = append(left, p)
			continue
		}
		p.flags.And(^listed)
		if err := n.write(p, false); err != nil && !p.ended.Load() {
			p.touch()
			if first == nil && !noWayDown(err) {
				first = err
			}
		}
		if p.paused && !p.in.empty() {
			p.touch() // its mail is only written by a node that is frozen
		}
		p.yield()
	}
	n.keeping.giveBack(left)
	return first
}

// copyEvery is how long the copier lets changes gather: those since then are left for the switch.
const copyEvery = 2 * time.Millisecond

// copier copies in the background, whenever something is listed, until it is stopped. An error is for the switch to meet
// again.
func (n *Node) copier(ctx context.Context, done chan struct{}) {
	defer close(done)
	n.keeping.wake()
	gather := time.NewTimer(0)
	defer gather.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.keeping.more:
			gather.Reset(copyEvery)
		}
		select {
		case <-ctx.Done():
			return
		case <-gather.C:
			_ = n.copyListed()
		}
	}
}

// write brings the rows of a process up to date. The caller has made it busy. The mail is written only by a node that is
// frozen.
func (n *Node) write(p *process, mail bool) error {
	w, key := n.ledger.byKind[p.kind()], p.pid.key()
	if w == nil {
		return fmt.Errorf("otp: the behaviour %s of process %s is not one of the node's", p.kind().name, p.pid)
	}
	if !p.kind().persist || p.flags.Load()&rowed == 0 {
		p.flags.Or(rowed) // before the row: whoever ends the process erases it
		if err := w.rows.put(key, p.state); err != nil {
			return err
		}
	}
	err := n.writeBag(p, key, mail)
	if p.ended.Load() {
		n.erase(p)
	}
	return err
}

func (n *Node) writeBag(p *process, key string, mail bool) error {
	bag, err := p.pack(mail)
	switch {
	case err != nil:
		return fmt.Errorf("otp: %w", err)
	case !bag.empty():
		p.flags.Or(bagged)
		for _, name := range bag.Names {
			if err := n.noteName(name, p.pid); err != nil {
				return err
			}
		}
		return n.ledger.putBag(key, bag)
	case p.flags.Load()&bagged != 0:
		if err = n.ledger.dropBag(key); err == nil {
			p.flags.And(^bagged)
		}
	}
	return err
}

// erase deletes the rows of a process that has ended. Those of a node that sleeps, or is closed, are another version's.
// What cannot be deleted goes at the next sweep.
func (n *Node) erase(p *process) {
	if n.ledger == nil || n.phase.now.Load() == asleep || p.flags.Load()&left != 0 {
		return
	}
	key, w := p.pid.key(), n.ledger.byKind[p.kind()]
	if p.flags.Load()&rowed != 0 {
		if err := w.rows.remove(key); err != nil {
			n.ledger.log.Warn("the row of a process that has ended stays", "process", p.pid, "error", err)
		}
	}
	if p.flags.Load()&bagged != 0 {
		if err := n.ledger.dropBag(key); err != nil {
			n.ledger.log.Warn("the row of a process that has ended stays", "process", p.pid, "error", err)
		}
	}
}

// sweep deletes the rows of processes that are no more: those of a run that ended without a word.
func (n *Node) sweep(ctx context.Context) error {
	for _, w := range n.ledger.wards {
		err := scan(ctx, w.rows.scan, func(key string, pid PID) error {
			if n.known(pid) {
				return nil
			}
			return w.rows.remove(key)
		})
		if err != nil {
			return err
		}
	}
	for _, t := range n.ledger.bags {
		err := scan(ctx, keysOf(t), func(key string, pid PID) error {
			if n.known(pid) {
				return nil
			}
			_, err := t.Delete(key)
			return err
		})
		if err != nil {
			return err
		}
	}
	return n.sweepNames(ctx)
}

func (n *Node) sweepNames(ctx context.Context) error { return n.eachName(ctx, n.sweepName) }

// eachName calls f with the names that are in the log.
func (n *Node) eachName(ctx context.Context, f func(Name) error) error {
	for cursor, more := uint64(0), true; more; more = cursor != 0 {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		var names []string
		names, cursor = n.ledger.names.Scan(cursor, scanned)
		for _, name := range names {
			if err := f(Name(name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *Node) sweepName(name Name) error {
	pid, ok := n.ledger.names.Get(string(name))
	if !ok || n.known(pid) {
		return nil
	}
	n.names.mu.Lock()
	defer n.names.mu.Unlock()
	if n.names.unique[name] != 0 {
		return nil // somebody else has it by now
	}
	_, err := n.ledger.names.Delete(string(name))
	return err
}

func keysOf(t *state.Table[baggage]) func(uint64) ([]string, uint64) {
	return func(cursor uint64) ([]string, uint64) { return t.Scan(cursor, scanned) }
}

// scan calls f with the keys of a table that are PIDs.
func scan(ctx context.Context, next func(uint64) ([]string, uint64), f func(key string, pid PID) error) error {
	for cursor, more := uint64(0), true; more; more = cursor != 0 {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		var keys []string
		keys, cursor = next(cursor)
		for _, key := range keys {
			if pid, ok := pidOf(key); ok {
				if err := f(key, pid); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// save is for behaviours that persist: what the handler did is in the log before anybody is told. What a process does that
// has been ended meanwhile is not kept, and so is nothing that anybody may be told.
func (c *Ctx) save() error {
	p := c.p
	switch {
	case !p.kind().persist || p.n.ledger == nil:
		return nil
	case p.ended.Load():
		return errDead
	}
	p.flags.Or(rowed)
	err := p.n.ledger.byKind[p.kind()].rows.put(p.pid.key(), p.state)
	if p.ended.Load() {
		p.n.erase(p)
	}
	return err
}

// Save writes the state of a process that persists now, before an answer through a [From] or a message that others act
// on; after each handler that is done anyway. For other behaviours it does nothing.
func (c *Ctx) Save() error { return c.save() }

// noWayDown is true for a state that the version before cannot hold.
func noWayDown(err error) bool { return errors.Is(err, state.ErrNoWayDown) }
