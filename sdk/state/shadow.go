package state

import (
	"context"
	"fmt"
)

// Shadow makes the writer write each row also in the shapes of older versions, given by table: a reader of such a
// version finds every row that is written from then on. With snapshot it also writes the rows again that are there in
// the newer shape only, so that such a reader finds all. While there are shadows a row whose Down fails is
// refused with ErrNoWayDown, and Stats names the first one.
func (s *Store) Shadow(ctx context.Context, versions map[string]int32, snapshot bool, progress func(done, total uint64)) error {
	if !s.Writer() {
		return ErrNotWriter
	}
	if err := s.setShadows(versions); err != nil {
		return err
	}
	if !snapshot {
		return nil
	}
	count := newCounter(s.count(), progress)
	for _, t := range s.all() {
		if len(t.older()) == 0 {
			count.add(t.count())
		} else if err := s.snapshot(ctx, t, count); err != nil {
			return err
		}
	}
	count.end()
	return nil
}

// snapshot writes the rows of a table again that an older reader could not use.
func (s *Store) snapshot(ctx context.Context, t *rows, count *counter) error {
	oldest := t.older()[0]
	m := mover{t: t, count: count, build: t.rewrite}
	m.pick = func(it item) bool { return it.rec.version() > oldest }
	return m.run(ctx)
}

// checkShadows checks that every older version wanted can be written.
func (s *Store) checkShadows(versions map[string]int32) error {
	for _, t := range s.all() {
		if v, ok := versions[t.name]; ok && !t.opaque && int(v) < t.steps.oldest() {
			return fmt.Errorf("state: table %s: no step down to version %d", t.name, v)
		}
	}
	return nil
}

// setShadows sets the versions that are written besides. When it returns no change is under way that does not know.
func (s *Store) setShadows(versions map[string]int32) error {
	if err := s.checkShadows(versions); err != nil {
		return err
	}
	s.moving.Lock()
	defer s.moving.Unlock()
	changed := false
	for _, t := range s.all() {
		changed = t.setShadow(versions[t.name]) || changed
	}
	if changed {
		s.refused.Store(nil)
	}
	return nil
}

// setShadow returns false if that is so already.
func (t *rows) setShadow(version int32) bool {
	var list []int
	if version > 0 && int(version) < t.version && !t.opaque {
		list = []int{int(version)}
	}
	if was := t.shadows.Swap(&list); was != nil && len(*was) == len(list) && (len(list) == 0 || (*was)[0] == list[0]) {
		return false
	}
	t.quiesce()
	return true
}

// older returns the versions that are written besides, ascending.
func (t *rows) older() []int {
	if p := t.shadows.Load(); p != nil {
		return *p
	}
	return nil
}

// quiesce returns when every change that was under way has ended.
func (t *rows) quiesce() {
	for i := range t.shards {
		t.shards[i].mu.Lock()
		//lint:ignore SA2001 passing through is the purpose
		t.shards[i].mu.Unlock()
	}
}

// shadowed tells whether older shapes are written now.
func (s *Store) shadowed() map[string]int32 {
	m := map[string]int32{}
	for _, t := range s.all() {
		for _, v := range t.older() {
			m[t.name] = int32(v)
		}
	}
	return m
}
