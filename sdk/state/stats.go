package state

import "cmp"

// Stats is a moment of a store.
type Stats struct {
	Epoch    uint64 // of the last segment known here
	LogBytes uint64 // in the segments, without the room that is left in them
	Segments int
	Rows     map[string]uint64 // by table, those not known to this program among them
	Shadows  map[string]int32  // the older versions that are written besides, by table
	Unready  string            // why this process could not write for long after a switch: no space left, or see Broken
	Refused  *Refusal          // the first write that an older version could not hold, since these are written
}

// Refusal is a write that was refused because the row has no shape that an older version could read.
type Refusal struct {
	Table, Key string
	Reason     string
}

// Stats counts; it is cheap at any number of rows.
func (s *Store) Stats() Stats {
	st := Stats{Epoch: s.epoch(), Rows: map[string]uint64{}, Shadows: s.shadowed(), Refused: s.refused.Load()}
	for _, t := range s.all() {
		st.Rows[t.name] = t.count()
	}
	if err := s.unready(); err != nil {
		st.Unready = err.Error()
	}
	st.LogBytes, st.Segments = s.size()
	return st
}

func (s *Store) unready() error {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	return cmp.Or(s.w.poison, s.w.unready)
}

// size returns the bytes and the number of the segments.
func (s *Store) size() (bytes uint64, segments int) {
	s.mapped.RLock()
	defer s.mapped.RUnlock()
	for _, g := range s.segments() {
		bytes += word(g.commit().Load()).position() - pageSize
		segments++
	}
	return bytes, segments
}

// Lag is how many bytes of the log a follower has not read yet; 0 on a writer.
func (s *Store) Lag() uint64 {
	s.mapped.RLock()
	defer s.mapped.RUnlock()
	g, off, ended := s.cursor.get()
	if g == nil || g.mem == nil || ended || !g.local || s.Writer() {
		return 0
	}
	w := word(g.commit().Load())
	lag := w.position() - min(off, w.position())
	for i := g.id.next(); w.has(sealed); i = i.next() {
		later, err := openSegment(s.dir, i, s.boot)
		if err != nil {
			break // Follow will say what is wrong with it
		}
		w = word(later.commit().Load())
		lag += w.position() - pageSize
		if later.unmap() != nil {
			break
		}
	}
	return lag
}
