package state

import (
	"errors"
	"io/fs"
	"sync"

	"github.com/theseusd/theseus/sdk/fault"
)

// writer is the right to append, and the segments it goes to. It has the right as long as active is not nil and the
// active segment is not fenced.
type writer struct {
	mu      sync.Mutex
	active  *segment
	next    *segment   // published ahead, the same epoch goes on there
	spare   *segment   // prepared, without a name yet
	reserve *segment   // a small one, with which an epoch can begin on a full disk; for nothing else
	stale   []*segment // were next when their epoch ended, or are one too many: no part of the log
	written uint64     // bytes committed since this process was started
	unready error      // why there is no spare segment, if one could not be made
	poison  error      // a sync failed: nothing may be acknowledged any more
	half    chan struct{}

	publishing bool // next is being published, without the lock
	published  sync.Cond
	making     sync.Mutex // held while a spare is made or published ahead, or the directory is cleaned
}

// place is where a group was committed.
type place struct {
	location uint64
	end      uint64 // of the group, in bytes committed by this process: what a sync has to reach
}

// append commits a group of records, all or nothing. It returns once they are in the log, so they survive the end of
// this process. ErrNotWriter means that no byte of it is or will be in the log.
func (s *Store) append(group []byte) (place, error) {
	w := &s.w
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if w.poison != nil {
			return place{}, w.poison
		}
		g := w.active
		if g == nil {
			return place{}, ErrNotWriter
		}
		word := word(g.commit().Load())
		if word.has(fenced) {
			s.depose()
			return place{}, ErrNotWriter
		}
		tail := word.position()
		if tail+uint64(len(group)) > g.size {
			if err := s.roll(word, len(group)); err != nil {
				return place{}, err
			}
			continue
		}
		// Another process may have fenced this segment since; then these bytes lie behind the final tail, where
		// nobody reads, and the swap fails.
		copy(g.mem[tail:], group)
		fault.At(fault.CommitCopied)
		if g.commit().CompareAndSwap(uint64(word), uint64(at(tail+uint64(len(group))))) {
			w.written += uint64(len(group))
			w.prepare(g, tail, len(group))
			return place{g.location(tail), w.written}, nil
		}
	}
}

// prepare asks for the next segment when an append goes over the middle of this one.
func (w *writer) prepare(g *segment, tail uint64, n int) {
	if half := g.size / 2; tail < half && tail+uint64(n) >= half {
		w.wake()
	}
}

// wake lets the loop look that prepares segments ahead.
func (w *writer) wake() {
	select {
	case w.half <- struct{}{}:
	default:
	}
}

// roll seals the active segment and goes on in the next one of the epoch. The next one is there before the seal is, so
// a sealed segment always has a successor. The caller holds the lock of the writer.
func (s *Store) roll(full word, need int) error {
	w := &s.w
	if w.next == nil && w.publishing {
		w.published.Wait()
		return nil // the caller looks again
	}
	if w.next == nil {
		if err := s.publishNext(s.sizeFor(need)); err != nil {
			return err
		}
	}
	fault.At(fault.RollPublished)
	if !w.active.commit().CompareAndSwap(uint64(full), uint64(full|sealed)) {
		return nil // fenced: the caller looks again
	}
	w.next.before().Store(uint64(at(full.position())))
	s.enchain(w.next)
	w.active, w.next = w.next, nil
	return nil
}

func (s *Store) sizeFor(group int) uint64 {
	return max(uint64(s.o.SegmentSize), (pageSize+uint64(group)+pageSize-1)&^(pageSize-1))
}

// publishNext makes the successor of the active segment. The caller holds the lock of the writer.
func (s *Store) publishNext(size uint64) error {
	g, err := s.takeSpare(size)
	if err != nil {
		return err
	}
	if err := s.place(g, s.w.active.id.next(), s.w.active.id, 0); err != nil {
		s.giveBack(g)
		return err
	}
	s.w.next = g
	return nil
}

// place publishes a segment and gives it its addresses.
func (s *Store) place(g *segment, i, prev id, before uint64) error {
	if err := s.grid.add(g); err != nil {
		return err
	}
	return g.publish(s.dir, i, prev, s.seed.Load(), before)
}

// takeSpare returns the prepared segment if it is large enough, else a new one.
func (s *Store) takeSpare(size uint64) (*segment, error) {
	defer s.w.wake()
	if g := s.w.spare; g != nil && g.size >= size {
		s.w.spare = nil
		return g, nil
	}
	return newSegment(s.dir, size, s.boot, s.o.allocate)
}

// takeFirst returns a segment for an epoch to begin with: the spare one, or the one in reserve if the disk is full.
func (s *Store) takeFirst() (*segment, error) {
	defer s.w.wake()
	for _, ready := range []**segment{&s.w.spare, &s.w.reserve} {
		if g := *ready; g != nil {
			*ready = nil
			return g, nil
		}
	}
	return newSegment(s.dir, uint64(s.o.SegmentSize), s.boot, s.o.allocate)
}

// giveBack keeps a segment that could not be published. The caller holds the lock of the writer.
func (s *Store) giveBack(g *segment) {
	switch {
	case s.w.spare == nil && g.size >= uint64(s.o.SegmentSize):
		s.w.spare = g
	case s.w.reserve == nil && g.size == MinSegmentSize:
		s.w.reserve = g
	default:
		s.w.stale = append(s.w.stale, g)
	}
}

// enchain adds a segment to the end of the log as this process knows it.
func (s *Store) enchain(g *segment) {
	s.chainMu.Lock()
	defer s.chainMu.Unlock()
	s.chain = append(s.chain, g)
}

// segments lists the log as this process knows it. The caller holds s.mapped.
func (s *Store) segments() []*segment {
	s.chainMu.Lock()
	defer s.chainMu.Unlock()
	return s.chain[:len(s.chain):len(s.chain)]
}

// depose makes the store a follower again, from the final tail on. Its records up to there are indexed, or will be
// by goroutines that hold the locks of their shards. The caller holds the lock of the writer.
func (s *Store) depose() {
	g := s.w.active
	s.cursor.set(g, word(g.commit().Load()).position())
	s.w.active = nil
	if s.w.next != nil {
		s.w.stale, s.w.next = append(s.w.stale, s.w.next), nil
	}
	s.signal()
}

// writing tells whether the right to append is still here.
func (w *writer) writing() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.active != nil && !word(w.active.commit().Load()).has(fenced)
}

// dropStale deletes what was published ahead in an epoch that ended before it came to be used.
func (s *Store) dropStale() (err error) {
	s.w.mu.Lock()
	stale := s.w.stale
	s.w.stale = nil
	s.w.mu.Unlock()
	for _, g := range stale {
		err = errors.Join(err, s.drop(g))
	}
	return err
}

// dropSpare deletes the segments that were prepared.
func (s *Store) dropSpare() error {
	s.w.mu.Lock()
	spare, reserve := s.w.spare, s.w.reserve
	s.w.spare, s.w.reserve = nil, nil
	s.w.mu.Unlock()
	return errors.Join(s.drop(spare), s.drop(reserve))
}

func (s *Store) drop(g *segment) error {
	if g == nil {
		return nil
	}
	s.grid.remove(g)
	return errors.Join(g.unmap(), removeFile(g.path))
}

// isThere tells whether a publication failed because another process was first.
func isThere(err error) bool { return errors.Is(err, fs.ErrExist) }
