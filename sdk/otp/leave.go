package otp

import (
	"context"
	"slices"
	"time"
)

// Leave is Freeze for a service that ends. A handler that does not end before ctx does costs its own process and no other:
// it is killed or, if it persists, is in the log as it was before that message.
func (h *Hosted) Leave(ctx context.Context) error {
	n := h.n
	stopRoot := func(ctx context.Context) error {
		if err := n.root.stop(ctx); err != nil {
			n.ledger.log.Error("supervisors are left behind", "error", err)
		}
		return nil
	}
	return h.sleep(ctx, stopRoot, n.stillByForce)
}

// leaving is what those have who wait for a process that is left behind.
const leaving = 200 * time.Millisecond

// stillByForce leaves behind what does not come to rest in time: first those that wait for nobody, then all.
func (n *Node) stillByForce(ctx context.Context) ([]*process, error) {
	owned, err := n.still(ctx)
	for _, all := range []bool{false, true} {
		if err == nil {
			break
		}
		n.leaveBehind(all)
		again, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaving)
		owned, err = n.still(again)
		cancel()
	}
	return owned, err
}

func (n *Node) leaveBehind(all bool) {
	n.keeping.mu.Lock()
	list := slices.Clone(n.keeping.list)
	n.keeping.mu.Unlock()
	for _, p := range list {
		if p.word.Load() == idle || p.ended.Load() || !all && p.waits.Load() != nil {
			continue
		}
		n.ledger.log.Error("a process is left behind: it does not end what it handles", "process", p.pid, "behaviour", p.kind().name)
		if !p.kind().persist || p.flags.Load()&rowed == 0 { // its Init has not ended
			p.kill()
		} else if err := p.abandon(); err != nil {
			n.ledger.log.Error("what a process had beside its state may be stale", "process", p.pid, "error", err)
		}
	}
}

// abandon ends a process that persists here and not in the log: there it has its state and its names.
func (p *process) abandon() error {
	var bag baggage
	p.with(func(m *more) { bag.Names = slices.Clone(m.names) })
	p.flags.Or(left)
	p.retire()
	p.cutOff(&Exit{PID: p.pid, Reason: ErrKilled})
	p.refuse()
	if bag.empty() {
		return p.n.ledger.dropBag(p.pid.key())
	}
	return p.n.ledger.putBag(p.pid.key(), bag)
}
