package otp

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// PID names one process, from its start to its end. It is plain data and may be kept in a state or sent; a PID of a
// process that has ended names nobody for long: its place is taken again after 2^32 others.
type PID uint64

func (p PID) String() string { return fmt.Sprintf("<%d.%d>", uint32(p), uint32(p>>32)) }

func (p PID) slot() uint32 { return uint32(p) }

func (p PID) resolve(n *Node) *process { return n.procs.get(p) }

// Name is a process that [Node.Register] gave a name.
type Name string

func (name Name) resolve(n *Node) *process {
	n.names.mu.RLock()
	defer n.names.mu.RUnlock()
	return n.procs.get(n.names.unique[name])
}

// Addr is what messages can be sent to: a PID or a Name.
type Addr interface{ resolve(n *Node) *process }

// table finds processes by PID: without a lock, since every message does. A place is used again under another
// generation.
type table struct {
	chunks [1 << 14]atomic.Pointer[chunk]
	live   atomic.Int64

	mu   sync.Mutex
	free []uint32
	next uint32
}

const chunkSize = 1 << 12

type chunk struct {
	procs [chunkSize]atomic.Pointer[process]
	gens  [chunkSize]uint32 // of the last process at this place; under mu
}

// MaxProcesses is how many there can be at one time.
const MaxProcesses = (1 << 14) * chunkSize

// add gives a process its PID; it can be found from now on.
func (t *table) add(p *process) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	slot := t.next
	if n := len(t.free); n > 0 {
		slot, t.free = t.free[n-1], t.free[:n-1]
	} else if slot >= MaxProcesses {
		return fmt.Errorf("otp: there are %d processes: no more can be", MaxProcesses)
	} else {
		t.next++
	}
	c := t.chunks[slot/chunkSize].Load()
	if c == nil {
		c = new(chunk)
		t.chunks[slot/chunkSize].Store(c)
	}
	i := slot % chunkSize
	c.gens[i]++
	p.pid = PID(c.gens[i])<<32 | PID(slot)
	c.procs[i].Store(p)
	t.live.Add(1)
	return nil
}

func (t *table) get(pid PID) *process {
	c := t.chunks[pid.slot()/chunkSize%(1<<14)].Load()
	if c == nil {
		return nil
	}
	if p := c.procs[pid.slot()%chunkSize].Load(); p != nil && p.pid == pid {
		return p
	}
	return nil
}

func (t *table) remove(p *process) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slot := p.pid.slot()
	t.chunks[slot/chunkSize].Load().procs[slot%chunkSize].Store(nil)
	t.free = append(t.free, slot)
	t.live.Add(-1)
}

// each calls f for every process, until it returns false.
func (t *table) each(f func(*process) bool) {
	for i := range t.chunks {
		c := t.chunks[i].Load()
		if c == nil {
			return
		}
		for j := range c.procs {
			if p := c.procs[j].Load(); p != nil && !f(p) {
				return
			}
		}
	}
}
