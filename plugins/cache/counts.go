package main

import (
	"errors"
	"sync/atomic"

	"github.com/theseusd/theseus/sdk/state"
)

// Counts of a namespace since it began, whichever versions served it. A crash may take the last second's away.
type Counts struct {
	Hits    uint64 `json:"hits"`
	Misses  uint64 `json:"misses"`
	Writes  uint64 `json:"writes"`
	Expired uint64 `json:"expired"` // their time was over
	Evicted uint64 `json:"evicted"` // there was no room
}

var countsSchema = state.Schema[Counts]{Name: "counts", Version: 1}

// counters are the counts of this process, on top of those of the ones before.
type counters struct {
	hits, misses, writes, expired, evicted atomic.Uint64
	base                                   atomic.Pointer[Counts]
}

func (n *counters) read() Counts {
	c := Counts{n.hits.Load(), n.misses.Load(), n.writes.Load(), n.expired.Load(), n.evicted.Load()}
	if b := n.base.Load(); b != nil {
		c = c.plus(*b)
	}
	return c
}

func (c Counts) plus(o Counts) Counts {
	return Counts{c.Hits + o.Hits, c.Misses + o.Misses, c.Writes + o.Writes, c.Expired + o.Expired, c.Evicted + o.Evicted}
}

// start begins to count on top of what the processes before have counted.
func (n *counters) start(base Counts) {
	for _, own := range []*atomic.Uint64{&n.hits, &n.misses, &n.writes, &n.expired, &n.evicted} {
		own.Store(0)
	}
	n.base.Store(&base)
}

// countsKey is the key of a namespace's counts: a name cannot be empty in a list of names, a key can.
func countsKey(name string) string { return ":" + name }

func (ss *spaces) loadCounts() (err error) {
	for _, s := range ss.every() {
		base, _, e := ss.counts.Lookup(countsKey(s.name))
		s.stats.start(base)
		err = errors.Join(err, e)
	}
	return err
}

// saveCounts keeps what has changed. What cannot be kept now, on a full disk, is kept a second later.
func (ss *spaces) saveCounts() {
	for _, s := range ss.every() {
		now := s.stats.read()
		if old, _ := ss.counts.Get(countsKey(s.name)); old != now {
			_ = ss.counts.Put(countsKey(s.name), now)
		}
	}
}

// resetCounts begins all counts at 0.
func (ss *spaces) resetCounts() {
	for _, s := range ss.every() {
		s.stats.start(Counts{})
	}
}

// total adds up all namespaces.
func (ss *spaces) total() (sum Counts) {
	for _, s := range ss.every() {
		sum = sum.plus(s.stats.read())
	}
	return sum
}

// entries counts all keys.
func (ss *spaces) entries() (n int) {
	for _, t := range ss.tables {
		n += t.Len()
	}
	return n
}
