package otp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/theseusd/theseus/sdk/state"
	"github.com/theseusd/theseus/sdk/supervise"
)

// Hosted is the hand of a service on its node: what moves the processes from one version to the next. Its methods are
// called by one goroutine at a time.
//
//	        ┌──────────── Thaw ────────────┐
//	        ▼                              │
//	Wake ─ awake ── Keep ── Freeze ──▶ asleep ── Wake, if nobody else was awake since
//	                                       ┊
//	another version's Wake ◀── the log ────┘     Leave is a Freeze that always ends
type Hosted struct{ n *Node }

// Host makes a node whose processes go on in the next version of a service: see sdk.Setup.Node. It sleeps until Wake.
func Host(s *state.Store, version string, log *slog.Logger, o Options) (*Hosted, error) {
	l, err := newLedger(s, version, log, o.Behaviours)
	if err != nil {
		return nil, err
	}
	n := New(o)
	n.ledger, n.id = l, rand.Uint64()
	n.root = newRoot(o.Root)
	n.keeping.more = make(chan struct{}, 1)
	n.phase.gates, n.phase.changed = make([]gate, gateCount), make(chan struct{})
	n.phase.now.Store(asleep)
	n.loading.done = closed()
	return &Hosted{n}, nil
}

// Node is the node.
func (h *Hosted) Node() *Node { return h.n }

// Behaviours are the names of what the node has.
func (h *Hosted) Behaviours() (names []string) {
	for _, w := range h.n.ledger.wards {
		names = append(names, w.k.name)
	}
	return names
}

// Run returns the error with which Options.Root has failed, or nil when ctx ends.
func (h *Hosted) Run(ctx context.Context) error {
	select {
	case err := <-h.n.root.failed:
		return fmt.Errorf("otp: the root of the processes: %w", err)
	case <-ctx.Done():
		return nil
	}
}

// Keep copies all processes into the log, and what changes from then on: a Freeze soon after has little left to write.
// The error is that of a process that could not be written; nothing is kept then.
func (h *Hosted) Keep(ctx context.Context, progress func(done, total uint64)) error {
	n := h.n
	if n.halted() {
		return nil
	}
	if !came(ctx, n.loading.done) {
		return context.Cause(ctx)
	}
	if n.keeping.on.Load() {
		return n.copyListed()
	}
	n.keeping.on.Store(true)
	err := n.copyAll(ctx, progress)
	if err == nil {
		err = n.sweep(ctx)
	}
	if err != nil {
		h.Settle()
		return err
	}
	n.startCopier()
	return nil
}

// Settle ends Keep: there is nobody to take over.
func (h *Hosted) Settle() {
	n := h.n
	n.stopCopier()
	n.keeping.on.Store(false)
	n.keeping.turn.Lock()
	defer n.keeping.turn.Unlock()
	for _, p := range n.keeping.take() {
		p.flags.And(^listed)
	}
}

func (n *Node) startCopier() {
	ctx, cancel := context.WithCancel(n)
	done := make(chan struct{})
	n.keeping.stop, n.keeping.done = cancel, done
	go n.copier(ctx, done)
}

func (n *Node) stopCopier() {
	if n.keeping.done != nil {
		n.keeping.stop()
		<-n.keeping.done
		n.keeping.done = nil
	}
}

// Wake makes the processes run here; the store is the writer. They are those that this node has put to sleep, if nobody
// else was awake since; those that another version has put to sleep; or, after a crash, those that persist. Then the root
// is started. With keep they are copied all the while: there is somebody who may take over. If the root does not start, the
// processes are put to sleep again, as they are, for the version before.
func (h *Hosted) Wake(ctx context.Context, keep bool) error {
	n := h.n
	if !n.halted() {
		return nil
	}
	b, _, err := n.ledger.books.Lookup(bookKey)
	if err != nil {
		return err
	}
	own := b.Handover != 0 && b.Handover == n.handover
	if !own {
		n.reset()
		n.keeping.on.Store(keep)
		if err := n.adopt(&b); err != nil {
			return err
		}
	}
	if err := n.writeBook(0); err != nil {
		return err
	}
	n.goOn()
	if err := n.root.start(ctx, n); err != nil {
		return errors.Join(err, h.undo(ctx))
	}
	return nil
}

// undoing is how long a Wake that has failed may take to put the processes to sleep again.
const undoing = 2 * time.Second

func (h *Hosted) undo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoing)
	defer cancel()
	return h.Freeze(ctx)
}

// goOn ends the sleep, or a halt.
func (n *Node) goOn() {
	lineages.Store(n.lineage.Load(), n)
	late := n.phase.set(awake)
	n.handover = 0
	n.unfreeze()
	n.keeping.mu.Lock()
	list := append([]*process(nil), n.keeping.list...)
	n.keeping.mu.Unlock()
	for _, p := range list { // what was sent to them while the node was halted
		if p.work(false) {
			p.wake()
		}
	}
	for _, t := range late {
		t.fire()
	}
	n.load()
	if n.keeping.on.Load() {
		n.startCopier()
	}
}

// Close ends the node. Processes that persist, and those that were frozen, stay in the log.
func (h *Hosted) Close() {
	n := h.n
	n.stopCopier()
	n.stopLoading()
	if n.phase.now.Load() != asleep {
		n.phase.set(asleep)
		lineages.CompareAndDelete(n.lineage.Load(), n)
	}
	n.fetching.Lock() // whoever fetches after it finds that the node sleeps
	//lint:ignore SA2001 there is nothing to do in between
	n.fetching.Unlock()
	n.Close()
	n.abroad.giveUp(ErrShutdown)
	n.root.shutdown(supervise.ErrShutdown)
}

// came is true once c is closed, false if ctx ends before. What has come by then counts, however late it is.
func came(ctx context.Context, c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
	}
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}
