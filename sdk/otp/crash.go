package otp

import (
	"context"
	"errors"
	"maps"
	"slices"
)

// What is left to the generations, and to the refs, of a run that ended without a word: see reserve.
const (
	crashGap  = 1 << 16
	crashRefs = 1 << 40
)

// afterCrash finds out what is left: the processes that persist, and their names.
func (n *Node) afterCrash(b *book) error {
	if err := n.countPersistent(b); err != nil {
		return err
	}
	n.bearing = map[PID][]Name{}
	return n.eachName(n, func(name Name) error {
		if pid, ok := n.ledger.names.Get(string(name)); ok {
			n.bearing[pid] = append(n.bearing[pid], name)
		}
		return nil
	})
}

// renewBags leaves to those who have not come yet what a crash leaves them, which is their names: mail and timers of the
// time before would be stale to the next version. It ends before there can be one, see Keep.
func (n *Node) renewBags(ctx context.Context) error {
	for _, t := range n.ledger.bags {
		err := scan(ctx, keysOf(t), func(key string, pid PID) error {
			return n.whileInLog(pid, func() error {
				_, err := t.Delete(key)
				return err
			})
		})
		if err != nil {
			return err
		}
	}
	for _, pid := range n.bearers() {
		err := n.whileInLog(pid, func() error { return n.ledger.putBag(pid.key(), baggage{Names: n.bearing[pid]}) })
		if err = errors.Join(err, context.Cause(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// bearers are those with names who have not come yet.
func (n *Node) bearers() []PID {
	n.fetching.Lock()
	defer n.fetching.Unlock()
	return slices.Collect(maps.Keys(n.bearing))
}

// whileInLog runs f if the process waits in the log, and keeps it there so long.
func (n *Node) whileInLog(pid PID, f func() error) error {
	n.fetching.Lock()
	defer n.fetching.Unlock()
	if here, _ := n.procs.knows(pid); here || !n.known(pid) {
		return nil
	}
	return f()
}

// countPersistent finds out how far the places of the processes go that outlive a crash.
func (n *Node) countPersistent(b *book) error {
	for i, w := range n.ledger.wards {
		if !w.k.persist {
			continue
		}
		err := scan(n, w.rows.scan, func(key string, pid PID) error {
			if !n.ledger.persists(n.ledger.wards[:i], key) { // or it has two rows, see onlyIn
				b.Live++
			}
			b.Next, b.Top = max(b.Next, pid.slot()+1), max(b.Top, pid.generation())
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// persists is true if one of the wards has the state of a process, and keeps it over a crash.
func (l *ledger) persists(wards []*ward, key string) bool {
	return slices.ContainsFunc(wards, func(w *ward) bool {
		if !w.k.persist {
			return false
		}
		_, ok, _ := w.rows.get(key)
		return ok
	})
}

// onlyIn leaves a process one row: a crash may have come in the middle of ChangeCode.
func (n *Node) onlyIn(w *ward, key string) error {
	if !n.crashed {
		return nil
	}
	for _, other := range n.ledger.wards {
		if other == w {
			continue
		}
		if err := other.rows.remove(key); err != nil {
			return err
		}
	}
	return nil
}
