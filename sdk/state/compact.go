package state

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/theseusd/theseus/sdk/fault"
)

// tendLoop settles and compacts while the store is the writer and writes no older shapes.
func (s *Store) tendLoop(ctx context.Context) error {
	for {
		if err := s.tend(ctx); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if !errors.Is(err, ErrNotWriter) && !errors.Is(err, errNotNow) {
				s.o.Logger.Warn("the log could not be compacted; it will be tried again", "error", err)
			}
		}
		if err := pause(ctx, tendEvery); err != nil {
			return err
		}
	}
}

// errNotNow says that the log must be left as it is, for now.
var errNotNow = errors.New("state: not the writer, or older shapes are being written")

func (s *Store) mayTend() error {
	if !s.Writer() || len(s.shadowed()) > 0 {
		return errNotNow
	}
	return nil
}

func (s *Store) tend(ctx context.Context) error {
	if err := s.mayTend(); err != nil {
		return err
	}
	if s.settling.Load() {
		if err := s.rewriteOld(ctx); err != nil {
			return err
		}
		s.settling.Store(false)
	}
	if err := s.dropStrays(); err != nil {
		return err
	}
	if !s.wasteful() {
		return nil
	}
	return s.compact(ctx)
}

// Settle ends the time in which another version might come back: no more shadows are written, and in the background
// rows of older shapes, and rows that a newer version has written, are written anew by this program, and the log is
// compacted. So what a version wrote that was rolled back is gone from the log.
func (s *Store) Settle(context.Context) error {
	if !s.Writer() {
		return ErrNotWriter
	}
	if err := s.setShadows(nil); err != nil {
		return err
	}
	s.settling.Store(true)
	return nil
}

// rewriteOld writes the rows of other versions in this program's.
func (s *Store) rewriteOld(ctx context.Context) error {
	for _, t := range s.all() {
		if t.opaque {
			continue
		}
		m := mover{t: t, build: t.rewrite, calm: true, mayGoOn: s.mayTend}
		m.pick = func(it item) bool { return it.rec.version() < t.version || it.rec.shadow() }
		if err := m.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// wasteful tells whether compaction is worth while: more than half of the log is superseded, and a few segments at
// least; or the log lies in many segments that are hardly filled.
func (s *Store) wasteful() bool {
	var live uint64
	for _, t := range s.all() {
		live += t.bytes()
	}
	used, segments := s.size()
	size := uint64(s.o.SegmentSize)
	return used > 2*live+2*size || uint64(segments) > 3+3*(live/size)
}

// compact empties all segments before the active one, by writing their rows again at the end, and deletes them.
func (s *Store) compact(ctx context.Context) error {
	s.compacting.Lock()
	defer s.compacting.Unlock()
	if !s.lock.exclude() { // somebody reads the log: the segments could not be deleted
		return nil
	}
	if err := s.lock.readmit(); err != nil {
		return err
	}
	s.w.mu.Lock()
	base := s.w.active
	s.w.mu.Unlock()
	if base == nil {
		return ErrNotWriter
	}
	if err := s.empty(ctx, base.id); err != nil {
		return err
	}
	if err := s.syncFrom(base.id); err != nil {
		return err
	}
	return s.deleteBefore(base.id)
}

// empty moves all rows that lie before the segment base.
func (s *Store) empty(ctx context.Context, base id) error {
	for _, t := range s.all() {
		m := mover{t: t, build: t.copy, calm: true, mayGoOn: s.mayTend}
		m.pick = func(it item) bool { return s.grid.segment(locationOf(it.slot)).id.less(base) }
		if err := m.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// deleteBefore moves the beginning of the log to the segment base, unless somebody reads the log.
func (s *Store) deleteBefore(base id) error {
	if !s.lock.exclude() {
		return nil
	}
	err := s.mayWrite() // nobody can have become the writer since without the shared lock
	if err == nil {
		err = writeBase(s.dir, base)
	}
	if err == nil {
		fault.At(fault.CompactBased)
		err = s.removeStrays(base)
	}
	if err = errors.Join(err, s.lock.readmit()); err != nil {
		return err
	}
	return s.forgetBefore(base)
}

// removeStrays deletes what is no part of the log: segments before its beginning, and what dead processes prepared.
func (s *Store) removeStrays(base id) error {
	s.w.making.Lock()
	defer s.w.making.Unlock()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	mine := s.prepared()
	for _, e := range entries {
		i, isSegment := parseID(e.Name())
		spare, _ := filepath.Match("*.tmp", e.Name())
		if path := filepath.Join(s.dir, e.Name()); !mine[path] && (spare || isSegment && i.less(base)) {
			err = errors.Join(err, removeFile(path))
		}
	}
	return err
}

// dropStrays deletes what dead processes prepared. While others read the log it does nothing: it may be theirs.
func (s *Store) dropStrays() error {
	s.compacting.Lock()
	defer s.compacting.Unlock()
	chain := s.segments()
	if stray, err := s.strays(); !stray || err != nil || len(chain) == 0 || !s.lock.exclude() {
		return err
	}
	err := s.mayWrite()
	if err == nil {
		err = s.removeStrays(chain[0].id)
	}
	return errors.Join(err, s.lock.readmit())
}

// strays is true if somebody else's files lie here that were prepared and not published.
func (s *Store) strays() (bool, error) {
	list, err := filepath.Glob(filepath.Join(s.dir, sparePattern))
	mine := s.prepared()
	for _, path := range list {
		if !mine[path] {
			return true, err
		}
	}
	return false, err
}

// prepared names the files that this store has made ahead.
func (s *Store) prepared() map[string]bool {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	m := map[string]bool{}
	for _, g := range append([]*segment{s.w.spare, s.w.reserve, s.w.next}, s.w.stale...) {
		if g != nil {
			m[g.path] = true
		}
	}
	return m
}

// forgetBefore unmaps the segments before base. No index points there, and once every lock was passed nobody reads
// there either.
func (s *Store) forgetBefore(base id) error {
	for _, t := range s.all() {
		t.quiesce()
	}
	return s.forget(func(g *segment) bool { return g.id.less(base) })
}

// forget unmaps segments to which no index points.
func (s *Store) forget(which func(g *segment) bool) (err error) {
	s.mapped.Lock()
	defer s.mapped.Unlock()
	s.chainMu.Lock()
	defer s.chainMu.Unlock()
	kept := s.chain[:0:0]
	for _, g := range s.chain {
		if !which(g) {
			kept = append(kept, g)
			continue
		}
		s.grid.remove(g)
		err = errors.Join(err, g.unmap())
	}
	s.chain = kept
	return err
}
