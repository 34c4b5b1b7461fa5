package state

import (
	"context"
	"errors"
	"sync"
)

// cursor is how far a follower has read. While the store is the writer it stands still.
type cursor struct {
	mu    sync.Mutex
	seg   *segment
	off   uint64
	ended bool // the end of what the machine kept when it stopped
}

func (c *cursor) get() (g *segment, off uint64, ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seg, c.off, c.ended
}

func (c *cursor) set(g *segment, off uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seg, c.off, c.ended = g, off, false
}

func (c *cursor) end(g *segment, off uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seg, c.off, c.ended = g, off, true
}

// readAll reads the log to where its end was when it began: a writer may be faster than any reader.
func (s *Store) readAll(ctx context.Context) error {
	list, err := listSegments(s.dir)
	if err != nil {
		return err
	}
	for more := true; more; {
		if _, more, err = s.advanceSegment(ctx); err != nil {
			return err
		}
		if g, _, _ := s.cursor.get(); more && g != nil && len(list) > 0 && list[len(list)-1].less(g.id) {
			return nil
		}
	}
	return nil
}

// advanceSegment reads to the present end of one segment and returns the number of changes; more says that another
// segment follows. The caller holds s.follow.
func (s *Store) advanceSegment(ctx context.Context) (n uint64, more bool, err error) {
	g, off, ended := s.cursor.get()
	switch {
	case g == nil:
		more, err = s.begin()
		return 0, more, err
	case ended:
		b, err := s.boundEnded(g, off)
		if err != nil || b.next == nil {
			return 0, false, err
		}
		return 0, true, s.enter(b.next)
	case g.local:
		return s.advanceLocal(ctx, g, off)
	}
	return s.advanceForeign(ctx, g, off)
}

// begin enters the first segment, if there is one.
func (s *Store) begin() (bool, error) {
	g, err := s.first()
	if g == nil || err != nil {
		return false, err
	}
	s.seed.Store(g.seed)
	return true, s.enter(g)
}

// enter puts the cursor at the beginning of a segment that follows.
func (s *Store) enter(g *segment) error {
	if err := s.grid.add(g); err != nil {
		return err
	}
	s.enchain(g)
	s.cursor.set(g, pageSize)
	return nil
}

func (s *Store) advanceLocal(ctx context.Context, g *segment, off uint64) (uint64, bool, error) {
	b, err := s.bound(g)
	if err != nil {
		return 0, false, err
	}
	if off > b.end {
		return 0, false, g.corrupt(offsetCommit, "the tail has moved back")
	}
	n, off, reason, err := s.replay(ctx, g, off, b.end)
	s.cursor.set(g, off)
	if reason != "" {
		err = g.corrupt(off, reason)
	}
	if err != nil || b.next == nil {
		return n, false, err
	}
	return n, true, s.enter(b.next)
}

func (s *Store) advanceForeign(ctx context.Context, g *segment, off uint64) (uint64, bool, error) {
	b, err := s.boundForeign(g)
	if err != nil {
		return 0, false, err
	}
	n, off, reason, err := s.replay(ctx, g, off, b.end)
	s.cursor.set(g, off)
	if err != nil {
		return n, false, err
	}
	if reason == "" && b.next != nil {
		return n, true, s.enter(b.next)
	}
	if b.next != nil {
		err = b.next.unmap()
	}
	s.cursor.end(g, off)
	return n, false, errors.Join(err, s.cut(g, off, reason))
}

// replay applies the groups from off to end. A reason says why the one at the returned offset cannot be read.
func (s *Store) replay(ctx context.Context, g *segment, off, end uint64) (n, to uint64, reason string, err error) {
	var t *rows
	now := s.now()
	for ; off < end; n++ {
		if n%8192 == 8191 {
			if err := context.Cause(ctx); err != nil {
				return n, off, "", err
			}
			now = s.now()
		}
		b := g.mem[off:end]
		gr, reason := parseGroup(b)
		if reason != "" {
			return n, off, reason, nil
		}
		if name := gr.main.table(); t == nil || t.name != string(name) {
			t = s.table(name)
		}
		r, from := gr.pick(b, t.version)
		t.apply(r, g.location(off+from), now)
		off += gr.stride
	}
	return n, off, "", nil
}

// apply indexes a record that was read from the log.
func (t *rows) apply(r record, location, now uint64) {
	if t.passing { // rows of another process, or of an earlier life of this one
		return
	}
	key := view(r.key())
	sh, tag := t.hash(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i, _ := t.lookup(sh, tag, key)
	e := r.expiry()
	switch {
	case !r.deleted() && (e == 0 || e > now):
		t.set(sh, i, tag, r, location)
	case i >= 0:
		t.drop(sh, i)
	}
}
