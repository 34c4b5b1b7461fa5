package state

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// bound is how far a segment can be read now, and what follows it; nil if there is nothing (yet).
type bound struct {
	end  uint64
	next *segment
}

// first opens the first segment of the log, nil if there is no log yet.
func (s *Store) first() (*segment, error) {
	i, err := readBase(s.dir)
	if err != nil {
		return nil, err
	}
	g, err := s.open(i, id{})
	if !errors.Is(err, fs.ErrNotExist) {
		return g, err
	}
	list, err := listSegments(s.dir)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 && i == genesis {
		return nil, nil
	}
	if g, err = s.open(i, id{}); errors.Is(err, fs.ErrNotExist) { // it may have come just now
		return nil, s.missing(i)
	}
	return g, err
}

func (s *Store) missing(i id) error {
	return &CorruptError{File: filepath.Join(s.dir, i.file()), Reason: "the segment is missing"}
}

// open maps a segment that follows prev; any if prev is zero.
func (s *Store) open(i, prev id) (*segment, error) {
	g, err := openSegment(s.dir, i, s.boot)
	if err != nil {
		return nil, err
	}
	switch {
	case prev != id{} && g.prev != prev:
		err = g.corrupt(32, fmt.Sprintf("it follows segment %s, not %s", g.prev, prev))
	case prev != id{} && g.seed != s.seed.Load():
		err = g.corrupt(56, "it belongs to another log")
	}
	if err != nil {
		return nil, errors.Join(err, g.unmap())
	}
	return g, nil
}

// optional is open, with nil for a segment that is not there.
func (s *Store) optional(i, prev id) (*segment, error) {
	g, err := s.open(i, prev)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return g, err
}

// bound looks at the end of a segment that was written since the machine started: the commit word is the truth.
func (s *Store) bound(g *segment) (bound, error) {
	w, err := g.word()
	if err != nil {
		return bound{}, err
	}
	b := bound{end: w.position()}
	switch {
	case w.has(sealed):
		b.next, err = s.open(g.id.next(), g.id)
		if errors.Is(err, fs.ErrNotExist) {
			err = s.missing(g.id.next())
		}
	case w.has(fenced):
		b.next, err = s.nextEpoch(g, b.end)
	}
	return b, err
}

// nextEpoch opens the segment that begins the epoch after g, whose final tail is end; nil if there is none yet.
func (s *Store) nextEpoch(g *segment, end uint64) (*segment, error) {
	next, err := s.optional(g.id.nextEpoch(), g.id)
	if next == nil || err != nil {
		return nil, err
	}
	before, ok, err := next.beforeEnd()
	if err == nil && (!ok || before != end) {
		err = next.corrupt(offsetBefore, fmt.Sprintf("it follows byte %d of segment %s, which ends at %d", before, g.id, end))
	}
	if err != nil {
		return nil, errors.Join(err, next.unmap())
	}
	return next, nil
}

// nothingBeyond checks, at the end of Load, that no segment lies behind the end of the log.
func (s *Store) nothingBeyond() error {
	g, _, ended := s.cursor.get()
	if g == nil || ended {
		return nil
	}
	list, err := listSegments(s.dir)
	if err != nil {
		return err
	}
	for _, i := range list {
		if !g.id.less(i) {
			continue
		}
		if err := s.mayFollow(g, i); err != nil {
			return err
		}
	}
	return nil
}

// mayFollow tells whether segment i may be there although the log ends in g. A writer may go on meanwhile, so the
// commit word is read after the list of the files.
func (s *Store) mayFollow(g *segment, i id) error {
	w, err := g.word()
	switch {
	case err != nil || w.has(sealed):
		return err
	case i == g.id.next():
		return s.publishedAhead(g)
	case i.epoch == g.id.epoch || !w.has(fenced):
		return g.corrupt(offsetCommit, fmt.Sprintf("segment %s lies beyond the end of the log", i))
	}
	next, err := s.nextEpoch(g, w.position())
	if err == nil && next == nil {
		return s.missing(g.id.nextEpoch())
	}
	if next != nil {
		return next.unmap()
	}
	return err
}

// publishedAhead checks that the successor of g, which is not sealed, was not begun.
func (s *Store) publishedAhead(g *segment) error {
	next, err := s.optional(g.id.next(), g.id)
	if next == nil || err != nil {
		return err
	}
	_, begun, err := next.beforeEnd()
	if w, _ := g.word(); err == nil && begun && !w.has(sealed) {
		err = g.corrupt(offsetCommit, fmt.Sprintf("it is not sealed, but the log goes on in %s", next.id))
	}
	return errors.Join(err, next.unmap())
}
