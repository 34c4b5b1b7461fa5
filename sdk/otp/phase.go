package otp

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// What a node does. One that is not hosted is awake for ever.
const (
	awake   int32 = iota
	halting       // no message is handled but those that running handlers wait for; who comes from outside waits
	asleep        // the processes are another version's, or will be this one's: see Host
)

// phase is whether processes run, and the gate for those who come from outside of any process. Handlers need no gate:
// a node is still when none runs.
type phase struct {
	now   atomic.Int32
	gates []gate

	mu      sync.Mutex
	changed chan struct{} // closed at the next change
	late    []*timer      // due while halted
}

// gate counts those who are putting something into a mailbox: each core mostly has one to itself.
type gate struct {
	inside atomic.Int64
	_      [56]byte // to a cache line
}

const gateCount = 64

func (n *Node) halted() bool { return n.phase.now.Load() != awake }

// enter lets the caller touch processes until it leaves the gate; it waits while the node halts. A gate that is nil
// needs no leaving. The error is ErrAsleep, or the cause of the context.
func (n *Node) enter(s Scope) (*gate, error) {
	if n.phase.gates == nil {
		return nil, nil
	}
	if c := s.caller(); c != nil && !c.p.ended.Load() { // a freeze does not wait for the handler of one that has ended
		return nil, nil
	}
	for {
		g := n.gate()
		if !n.halted() {
			return g, nil
		}
		g.leave()
		if err := n.phase.wait(s); err != nil {
			return nil, err
		}
	}
}

// gate lets the caller in, whatever the phase; nil if there is none.
func (n *Node) gate() *gate {
	if n.phase.gates == nil {
		return nil
	}
	g := &n.phase.gates[rand.Uint32N(gateCount)]
	g.inside.Add(1)
	return g
}

func (g *gate) leave() {
	if g != nil {
		g.inside.Add(-1)
	}
}

// wait returns when the phase has changed, at once with ErrAsleep if the node sleeps.
func (ph *phase) wait(ctx context.Context) error {
	ph.mu.Lock()
	now, changed := ph.now.Load(), ph.changed
	ph.mu.Unlock()
	switch now {
	case awake:
		return nil
	case asleep:
		return ErrAsleep
	}
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// set changes the phase and returns the timers that were due meanwhile.
func (ph *phase) set(now int32) (late []*timer) {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	ph.now.Store(now)
	close(ph.changed)
	ph.changed = make(chan struct{})
	if now == awake {
		late, ph.late = ph.late, nil
	}
	return late
}

// empty is true when nobody is inside any gate.
func (ph *phase) empty() bool {
	for i := range ph.gates {
		if ph.gates[i].inside.Load() != 0 {
			return false
		}
	}
	return true
}

// postpone keeps a timer until the halt ends; false says that it has ended meanwhile.
func (n *Node) postpone(t *timer) bool {
	n.phase.mu.Lock()
	defer n.phase.mu.Unlock()
	if !n.halted() {
		return false
	}
	n.phase.late = append(n.phase.late, t)
	return true
}
