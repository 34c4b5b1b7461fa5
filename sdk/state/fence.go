package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"

	"github.com/theseusd/theseus/sdk/fault"
)

// Activation is how a store became the writer.
type Activation struct {
	Epoch uint64
	Delta uint64 // changes that were read in the course of it
}

// Activate makes the store the writer of the log: it fences the writer that is there, whoever that is, reads what that
// one still committed, and begins its own epoch in a segment of its own. From the first write on, rows are written in
// the shapes of the older versions in shadows as well; versions that are not older, and tables not known here, need
// none. Nothing in it grows with the number of rows. On a store that is the writer only the shadows change.
//
// ErrNoSpace and errors about shadows come before the fence: the old writer goes on.
func (s *Store) Activate(ctx context.Context, shadows map[string]int32) (Activation, error) {
	s.follow.Lock()
	defer s.follow.Unlock()
	if !s.loaded.Load() || s.closed.Load() {
		return Activation{}, errors.New("state: activate: the log was not loaded")
	}
	if s.Writer() {
		return Activation{Epoch: s.epoch()}, s.setShadows(shadows)
	}
	s.yieldFenced()
	s.dropPassing()
	s.refused.Store(nil)
	if err := s.prepareEpoch(shadows); err != nil {
		return Activation{}, err
	}
	delta, err := s.takeOver(ctx)
	if err != nil {
		return Activation{}, err
	}
	s.signal()
	return Activation{Epoch: s.epoch(), Delta: delta}, nil
}

// prepareEpoch does all that can fail before anybody is disturbed.
func (s *Store) prepareEpoch(shadows map[string]int32) error {
	if err := errors.Join(s.Broken(), s.readable()); err != nil {
		return err
	}
	if err := s.prepareSpare(); err != nil && !s.mayBegin() {
		return err
	}
	return s.setShadows(shadows)
}

// takeOver fences until this store is the one that begins the next epoch.
func (s *Store) takeOver(ctx context.Context) (delta uint64, err error) {
	for {
		if err := context.Cause(ctx); err != nil {
			return delta, err
		}
		n, err := s.fenceLog(ctx)
		delta += n
		if err != nil {
			return delta, err
		}
		if err := s.readable(); err != nil {
			return delta, err
		}
		if err = s.beginEpoch(); !isThere(err) {
			return delta, err
		}
	}
}

// fenceLog ends the rights of the writer and reads the log to its final tail.
func (s *Store) fenceLog(ctx context.Context) (delta uint64, err error) {
	for {
		if err := s.fenceLast(); err != nil {
			return delta, err
		}
		fault.At(fault.EpochFenced)
		n, more, err := s.advanceSegment(ctx)
		delta += n
		if err != nil || !more {
			return delta, err
		}
	}
}

// fenceLast sets the fence bit of the last segment of the epoch, so that what is left to read is finite.
func (s *Store) fenceLast() error {
	g, _, ended := s.cursor.get()
	if g == nil || ended || !g.local || fence(g) {
		return nil
	}
	for i := g.id.next(); ; i = i.next() {
		later, err := openSegment(s.dir, i, s.boot)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // reading will find out what is missing
		}
		if err != nil {
			return err
		}
		last := fence(later)
		if err := later.unmap(); last || err != nil {
			return err
		}
	}
}

// fence sets the fence bit of a segment, unless the log goes on behind it: then it returns false. A seal that comes
// before the fence leaves both bits, and the seal counts.
func fence(g *segment) bool {
	return !word(g.commit().Load()).has(sealed) && !word(g.commit().Or(uint64(fenced))).has(sealed)
}

// beginEpoch publishes the first segment of the next epoch behind the cursor. fs.ErrExist means that another process
// did. With the segment the store has the right to write.
func (s *Store) beginEpoch() error {
	g, off, ended := s.cursor.get()
	if g == nil {
		s.seed.Store(rand.Uint64())
		return s.publishEpoch(id{}, 0)
	}
	if !ended {
		return s.publishEpoch(g.id, off)
	}
	return s.exclusive(func() error {
		if err := s.fenceEnded(g, off); err != nil {
			return err
		}
		return s.publishEpoch(g.id, off)
	})
}

func (s *Store) publishEpoch(prev id, before uint64) error {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	g, err := s.takeFirst()
	if err != nil {
		return err
	}
	fault.At(fault.EpochBefore)
	if err := s.place(g, prev.nextEpoch(), prev, before); err != nil {
		s.giveBack(g)
		return err
	}
	fault.At(fault.EpochAfter)
	if g.id == genesis { // without this one a loss of power would leave a name without a log
		if err := s.syncSegment(g); err != nil {
			return err
		}
	}
	s.enchain(g)
	s.w.active = g
	return nil
}

// Release gives the right to write back: it fences the log and the store is a follower from its final tail on. Writes
// in other goroutines end with ErrNotWriter. On a follower it does nothing.
func (s *Store) Release() error {
	if s.giveUp() {
		s.dropPassing()
	}
	return nil
}

// giveUp fences the log if this store writes it.
func (s *Store) giveUp() bool {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if s.w.active == nil {
		return false
	}
	s.w.active.commit().Or(uint64(fenced))
	s.depose()
	return true
}

// dropPassing empties the tables whose rows end with the right to write.
func (s *Store) dropPassing() {
	for _, t := range s.all() {
		if t.passing {
			t.clear()
		}
	}
}

// yieldFenced makes a store that was fenced by another process the follower that it is.
func (s *Store) yieldFenced() {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if g := s.w.active; g != nil && word(g.commit().Load()).has(fenced) {
		s.depose()
	}
}

// epoch is the epoch of the last segment that is known here.
func (s *Store) epoch() uint64 {
	s.chainMu.Lock()
	defer s.chainMu.Unlock()
	if len(s.chain) == 0 {
		return 0
	}
	return s.chain[len(s.chain)-1].id.epoch
}

// prepareSpare makes a segment ready for the next epoch, and a small one in reserve.
func (s *Store) prepareSpare() error {
	s.w.making.Lock()
	defer s.w.making.Unlock()
	err := errors.Join(s.prepare(&s.w.reserve, MinSegmentSize), s.prepare(&s.w.spare, uint64(s.o.SegmentSize)))
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.unready = err
	return err
}

// mayBegin tells whether an epoch could begin now, be it with the segment in reserve.
func (s *Store) mayBegin() bool {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	return s.w.spare != nil || s.w.reserve != nil
}

// prepare fills a place for a segment that is ready, if it is empty.
func (s *Store) prepare(place **segment, size uint64) error {
	s.w.mu.Lock()
	have := *place != nil
	s.w.mu.Unlock()
	if have {
		return nil
	}
	g, err := newSegment(s.dir, size, s.boot, s.o.allocate)
	if err != nil {
		return fmt.Errorf("state: prepare: %w", err)
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	if *place != nil { // a publication that failed gave one back meanwhile
		s.w.stale = append(s.w.stale, g)
		return nil
	}
	*place = g
	return nil
}
