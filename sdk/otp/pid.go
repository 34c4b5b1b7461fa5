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

func (p PID) slot() uint32       { return uint32(p) }
func (p PID) generation() uint32 { return uint32(p >> 32) }

func (p PID) resolve(n *Node) *process { return n.find(p) }

// find is the process of a PID, nil if there is none. One that waits in the log comes to life, unless the node sleeps.
func (n *Node) find(p PID) *process {
	if found := n.procs.get(p); found != nil || !n.lazy.Load() || n.phase.now.Load() == asleep {
		return found
	}
	return n.fetch(p)
}

// Name is a process that [Register] gave a name.
type Name string

func (name Name) resolve(n *Node) *process { return n.find(n.bearer(name)) }

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
	base uint32 // generations up to this one were used by earlier versions
	top  uint32 // the highest generation so far
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
	c, i := t.chunk(slot), slot%chunkSize
	c.gens[i] = max(c.gens[i], t.base) + 1
	t.top = max(t.top, c.gens[i])
	p.pid = PID(c.gens[i])<<32 | PID(slot)
	c.procs[i].Store(p)
	t.live.Add(1)
	return nil
}

// chunk is for those who hold the lock.
func (t *table) chunk(slot uint32) *chunk {
	place := &t.chunks[slot/chunkSize]
	if place.Load() == nil {
		place.Store(new(chunk))
	}
	return place.Load()
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

// reset makes the table empty, and returns what it had.
func (t *table) reset() (old []*chunk) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.chunks[:chunksOf(t.next)] {
		if c := t.chunks[i].Swap(nil); c != nil {
			old = append(old, c)
		}
	}
	t.free, t.next, t.base, t.top = nil, 0, 0, 0
	t.live.Store(0)
	return old
}

// begin makes room for the processes that are in the log: their places are theirs.
func (t *table) begin(b book) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next, t.base, t.top = b.Next, b.Top, b.Top
	t.live.Store(b.Live)
}

// chunksOf is how many chunks so many places take.
func chunksOf(places uint32) int { return int((places + chunkSize - 1) / chunkSize) }

// extent is what begin of the next version wants to know.
func (t *table) extent() (next, top uint32, live int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.next, t.top, t.live.Load()
}

// unseen is true for a process that may be in the log: its place has not been taken by it here.
func (t *table) unseen(pid PID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.unseenLocked(pid)
}

// knows is get and unseen at one instant.
func (t *table) knows(pid PID) (here, unseen bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.get(pid) != nil, t.unseenLocked(pid)
}

func (t *table) unseenLocked(pid PID) bool {
	slot := pid.slot()
	if slot >= t.next {
		return false
	}
	return t.chunk(slot).gens[slot%chunkSize] < pid.generation()
}

// place puts a process out of the log where it was; it is counted already.
func (t *table) place(p *process) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slot := p.pid.slot()
	c := t.chunk(slot)
	c.gens[slot%chunkSize] = p.pid.generation()
	c.procs[slot%chunkSize].Store(p)
}

// free64 gives places of one chunk away that are not taken and have had no process here.
func (t *table) free64(taken []uint64, from, to uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for slot := from; slot < to; slot++ {
		if taken[slot/64]&(1<<(slot%64)) == 0 && t.chunk(slot).gens[slot%chunkSize] == 0 {
			t.free = append(t.free, slot)
		}
	}
}

// each calls f for every process, until it returns false.
func (t *table) each(f func(*process) bool) {
	t.mu.Lock()
	chunks := t.chunks[:chunksOf(t.next)]
	t.mu.Unlock()
	for i := range chunks {
		c := chunks[i].Load()
		if c == nil {
			continue
		}
		for j := range c.procs {
			if p := c.procs[j].Load(); p != nil && !f(p) {
				return
			}
		}
	}
}
