package state

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/sdk/durable"
)

// syncer brings the log to disk for many writers at once: one of them syncs, the others wait for it.
type syncer struct {
	mu      sync.Mutex
	cond    sync.Cond
	done    uint64 // bytes committed by this process that are on disk
	running bool
}

// waitSynced returns when all that this process committed up to end is on disk. An error is final: nobody can know
// what is on disk, so nothing is acknowledged any more.
func (s *Store) waitSynced(end uint64) error {
	y := &s.sync
	y.mu.Lock()
	defer y.mu.Unlock()
	for y.done < end {
		if y.running {
			y.cond.Wait()
			continue
		}
		if err := s.Broken(); err != nil {
			return err
		}
		y.running = true
		y.mu.Unlock()
		reached, err := s.syncLog()
		y.mu.Lock()
		y.running = false
		y.cond.Broadcast()
		if err != nil {
			return err
		}
		y.done = max(y.done, reached)
	}
	return nil
}

// Broken is why this process writes nothing any more, whatever it is asked to write, and nil if it may: a sync has failed.
func (s *Store) Broken() error {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	return s.w.poison
}

// syncLog brings all segments to disk in the order of the log, and returns how much of this process's that is.
func (s *Store) syncLog() (reached uint64, err error) {
	s.w.mu.Lock()
	reached, err = s.w.written, s.w.poison
	s.w.mu.Unlock()
	if err != nil {
		return 0, err
	}
	s.mapped.RLock()
	defer s.mapped.RUnlock()
	if s.closed.Load() {
		return 0, ErrClosed
	}
	return reached, s.poisonIf(s.syncSegments(s.unsynced()))
}

// poisonIf ends all writing after a sync that failed: the kernel has forgotten what it could not write.
func (s *Store) poisonIf(err error) error {
	if err == nil {
		return nil
	}
	s.o.Logger.Error("a sync of the state log failed: nothing is written any more", "error", err)
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.poison = fmt.Errorf("state: a sync failed, nothing is written any more: %w", err)
	return s.w.poison
}

// unsynced returns the segments, latest first, of which something may not be on disk. Segments are synced in order, so
// all before one that is wholly on disk are; and what was read after a start of the machine came from the disk.
func (s *Store) unsynced() []*segment {
	var list []*segment
	chain := s.segments()
	for i := len(chain) - 1; i >= 0 && chain[i].local; i-- {
		g := chain[i]
		tail := word(g.commit().Load()).position()
		if g.syncedTo() < tail {
			list = append(list, g)
		} else if tail > pageSize {
			break
		}
	}
	return list
}

func (s *Store) syncSegments(latestFirst []*segment) error {
	for i := len(latestFirst) - 1; i >= 0; i-- {
		if err := s.syncSegment(latestFirst[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) syncSegment(g *segment) error {
	tail := word(g.commit().Load()).position()
	if g.syncedTo() == pageSize {
		if err := durable.SyncDir(s.dir); err != nil {
			return err
		}
	}
	if err := g.flush(tail); err != nil {
		return err
	}
	raise(g.synced(), tail)
	return nil
}

// flush brings the segment to disk up to a position.
func (g *segment) flush(tail uint64) error {
	if err := unix.Msync(g.mem[:(tail+pageSize-1)&^(pageSize-1)], unix.MS_SYNC); err != nil {
		return fmt.Errorf("sync %s: %w", g.path, err)
	}
	return nil
}

// syncFrom brings the segments from base on to disk. They are not marked as synced, because those before may not be;
// but those before are not needed any more.
func (s *Store) syncFrom(base id) error {
	s.mapped.RLock()
	defer s.mapped.RUnlock()
	for _, g := range s.segments() {
		if g.id.less(base) {
			continue
		}
		if err := g.flush(word(g.commit().Load()).position()); err != nil {
			return s.poisonIf(err)
		}
	}
	return s.poisonIf(durable.SyncDir(s.dir))
}
