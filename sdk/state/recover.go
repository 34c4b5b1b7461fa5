package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// After the machine has stopped, the pages of a segment may have reached the disk in any order, or not at all. What
// was synced is there; of the rest the checksums tell how far it goes, and there the log is cut.

// boundForeign looks at the end of a segment that was written before the machine started.
func (s *Store) boundForeign(g *segment) (bound, error) {
	for _, i := range []id{g.id.nextEpoch(), g.id.next()} {
		b, ok, err := s.boundBy(g, i)
		if ok || err != nil {
			return b, err
		}
	}
	w := word(g.commit().Load())
	switch {
	case w.valid(g.size) && w.has(sealed): // its writer died before it could tell the successor
		next, err := s.optional(g.id.next(), g.id)
		return bound{end: w.position(), next: next}, s.unlessLost(err)
	case w.valid(g.size) && w.has(fenced):
		return bound{end: w.position()}, nil
	}
	return bound{end: g.size}, nil // nobody knows: it is where the records end
}

// boundBy takes the end of g from the segment i, if that follows g and knows it.
func (s *Store) boundBy(g *segment, i id) (bound, bool, error) {
	next, err := s.optional(i, id{})
	if next == nil || err != nil {
		return bound{}, false, s.unlessLost(err)
	}
	end, ok, err := next.beforeEnd()
	if err != nil || !ok || next.prev != g.id || end > g.size {
		return bound{}, false, next.unmap()
	}
	return bound{end: end, next: next}, true, nil
}

// errLost says that the name of a segment reached the disk and its header did not.
var errLost = errors.New("state: the segment was lost")

// unlessLost forgives a segment that never reached the disk. A later one that did tells it from damage.
func (s *Store) unlessLost(err error) error {
	if errors.Is(err, errLost) {
		return nil
	}
	return err
}

// strict returns the position in g up to which a bad record is damage and not a loss: all that was synced. Whatever
// lies before a synced segment was synced too, so there no end of the log can be in g at all.
func (s *Store) strict(g *segment) (uint64, error) {
	list, err := listSegments(s.dir)
	if err != nil {
		return 0, err
	}
	for _, i := range list {
		if !g.id.less(i) {
			continue
		}
		if kept, err := s.kept(i); kept || err != nil {
			return g.size + 1, err
		}
	}
	return g.syncedTo(), nil
}

// kept tells whether a segment was synced, or written since the machine started.
func (s *Store) kept(i id) (bool, error) {
	g, err := s.optional(i, id{})
	if g == nil || err != nil {
		return false, s.unlessLost(err)
	}
	return g.local || g.syncedTo() > pageSize, g.unmap()
}

// cut decides about the end of the log at off, in a segment from before the machine started: it is where the machine
// stopped, or damage. A reason says what is wrong with the record at off, if there is one.
func (s *Store) cut(g *segment, off uint64, reason string) error {
	limit, err := s.strict(g)
	if err != nil {
		return err
	}
	switch {
	case off < limit && reason != "":
		return g.corrupt(off, reason)
	case off < limit && limit > g.size:
		return g.corrupt(off, "the log ends here, but later segments were synced")
	}
	if w := word(g.commit().Load()); w.position() != off {
		s.o.Logger.Warn("the log was cut where the machine stopped", "file", g.path, "offset", off, "reason", reason)
	}
	return nil
}

// boundEnded looks whether the log went on since the machine started, behind the end that was found.
func (s *Store) boundEnded(g *segment, end uint64) (bound, error) {
	next, err := s.optional(g.id.nextEpoch(), id{})
	if err != nil {
		return bound{}, s.unlessLost(err)
	}
	if next == nil {
		return bound{end: end}, nil
	}
	if !next.local {
		return bound{end: end}, next.unmap()
	}
	if err := next.unmap(); err != nil {
		return bound{}, err
	}
	next, err = s.nextEpoch(g, end)
	return bound{end: end, next: next}, err
}

// fenceEnded makes the end that was found final, and puts aside what lay behind it. The caller holds the lock of the
// directory, see exclusive.
func (s *Store) fenceEnded(g *segment, end uint64) error {
	b, err := s.boundEnded(g, end)
	if err != nil {
		return err
	}
	if b.next != nil { // another process was first
		return errors.Join(unix.EEXIST, b.next.unmap())
	}
	g.commit().Store(uint64(at(end) | fenced))
	return s.putAside(g.id)
}

// putAside renames the segments behind i that are from before the machine started.
func (s *Store) putAside(i id) error {
	list, err := listSegments(s.dir)
	if err != nil {
		return err
	}
	for n := len(list) - 1; n >= 0 && i.less(list[n]); n-- {
		path := filepath.Join(s.dir, list[n].file())
		s.o.Logger.Warn("a segment behind the end of the log was put aside", "file", path)
		if err := os.Rename(path, path+".lost"); err != nil {
			return fmt.Errorf("state: put aside: %w", err)
		}
	}
	return nil
}

// exclusive runs f while no other process does the same in this directory.
func (s *Store) exclusive(f func() error) error {
	d, err := os.Open(s.dir)
	if err != nil {
		return fmt.Errorf("state: lock directory: %w", err)
	}
	defer d.Close()
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("state: lock directory: %w", err)
	}
	return f()
}
