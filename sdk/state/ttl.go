package state

import "time"

// deadline says when the row of a slot comes to its end.
type deadline struct {
	at   uint64 // ms since 1970
	slot uint64
}

// deadlines is a heap, the earliest first. Rows that were overwritten leave their deadline behind; it is dropped when
// it is due or when such leavings are the greater part.
type deadlines []deadline

func (d *deadlines) push(e deadline) {
	h := append(*d, e)
	i := len(h) - 1
	for i > 0 && h[(i-1)/4].at > e.at {
		h[i] = h[(i-1)/4]
		i = (i - 1) / 4
	}
	h[i] = e
	*d = h
}

func (d *deadlines) pop() deadline {
	h := *d
	first, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	*d = h
	if len(h) > 0 {
		h[0] = last
		h.sink(0)
	}
	return first
}

func (d deadlines) sink(i int) {
	e := d[i]
	for {
		child := d.earliest(4*i+1, e.at)
		if child < 0 {
			d[i] = e
			return
		}
		d[i] = d[child]
		i = child
	}
}

// earliest returns the first of the four children that begin at from, if it is before at.
func (d deadlines) earliest(from int, at uint64) int {
	best := -1
	for i := from; i < min(from+4, len(d)); i++ {
		if d[i].at < at {
			best, at = i, d[i].at
		}
	}
	return best
}

// prune keeps the deadlines for which keep is true.
func (d *deadlines) prune(keep func(slot uint64) bool) {
	h := (*d)[:0]
	for _, e := range *d {
		if keep(e.slot) {
			h = append(h, e)
		}
	}
	for i := (len(h) - 2) / 4; i >= 0 && len(h) > 1; i-- {
		h.sink(i)
	}
	*d = h
}

const (
	sweepEvery = 50 * time.Millisecond
	sweepBatch = 64 // rows under one lock
)

// sweep removes the rows that are due, in small batches.
func (t *rows) sweep(now uint64) {
	for i := range t.shards {
		sh := &t.shards[i]
		for due := sh.due.Load(); due != 0 && due <= now; due = sh.due.Load() {
			t.expired.Add(t.sweepShard(sh, now))
		}
	}
}

// sweepShard removes up to a batch of rows of the shard.
func (t *rows) sweepShard(sh *shard, now uint64) (n uint64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for range sweepBatch {
		if len(sh.deadlines) == 0 || sh.deadlines[0].at > now {
			break
		}
		if i := sh.index.find(sh.deadlines.pop().slot); i >= 0 {
			if t.ended != nil {
				t.ended(t.store.grid.record(locationOf(sh.index.slots[i])).key())
			}
			t.drop(sh, i)
			n++
		}
	}
	sh.setDue()
	return n
}

// setDue tells the sweeper, without a lock, when to look at the shard again.
func (sh *shard) setDue() {
	if len(sh.deadlines) == 0 {
		sh.due.Store(0)
		return
	}
	sh.due.Store(sh.deadlines[0].at)
}

// remember adds the deadline of a mortal row that was just indexed.
func (sh *shard) remember(slot, expiry uint64) {
	sh.mortal++
	if len(sh.deadlines) > 2*sh.mortal+64 {
		sh.deadlines.prune(func(slot uint64) bool { return sh.index.find(slot) >= 0 })
	}
	sh.deadlines.push(deadline{expiry, slot})
	sh.setDue()
}
