package state

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// grid is the address space in which an index says where a record lies: 40 bits, in units of 8 bytes. Each segment
// takes a run of granules of 1 MiB. Reading an address takes no lock.
type grid struct {
	mu       sync.Mutex
	granules atomic.Pointer[[]*segment]
}

const (
	granuleShift = 20
	locationBits = 40
	locationMask = 1<<locationBits - 1
	granuleUnits = granuleShift - 3
	granuleMask  = 1<<granuleUnits - 1
	maxGranules  = 1 << (locationBits - granuleUnits)
)

// add gives a segment its run of granules. It fails if the log is larger than the address space, 8 TiB.
func (g *grid) add(s *segment) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.known {
		return nil
	}
	n := int((s.size + 1<<granuleShift - 1) >> granuleShift)
	var cells []*segment
	if p := g.granules.Load(); p != nil {
		cells = *p
	}
	from := free(cells, n)
	if from+n > maxGranules {
		return fmt.Errorf("%w: the log has no addresses left", ErrNoSpace)
	}
	for len(cells) < from+n {
		cells = append(cells, nil)
	}
	s.base = uint64(from)
	for i := range n {
		cells[from+i] = s
	}
	g.granules.Store(&cells)
	s.known = true
	return nil
}

// free finds the first run of n empty cells; it may go beyond the end.
func free(cells []*segment, n int) int {
	run := 0
	for i, c := range cells {
		if c != nil {
			run = 0
		} else if run++; run == n {
			return i + 1 - n
		}
	}
	return len(cells) - run
}

// remove takes a segment out. No index may point to it any more.
func (g *grid) remove(s *segment) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !s.known {
		return
	}
	s.known = false
	cells := append([]*segment(nil), *g.granules.Load()...)
	for i, c := range cells {
		if c == s {
			cells[i] = nil
		}
	}
	g.granules.Store(&cells)
}

// location is the address of a byte of a segment.
func (s *segment) location(offset uint64) uint64 {
	return s.base<<granuleUnits + offset>>3
}

// segment returns the one that holds an address.
func (g *grid) segment(location uint64) *segment {
	return (*g.granules.Load())[location>>granuleUnits]
}

// record returns the record at an address. The caller holds the lock of the shard that named the address.
func (g *grid) record(location uint64) record {
	s := (*g.granules.Load())[location>>granuleUnits]
	r := record(s.mem[(location-s.base<<granuleUnits)<<3:])
	return r[:r.size():r.size()]
}
