package state

import "bytes"

const slabSize = 8 << 10

// slab makes copies that belong to whoever gets them for good, many of them with one allocation. A copy of nothing is
// nil, as in what is read from the log.
type slab struct{ free []byte }

func (s *slab) clone(b []byte) []byte {
	n := len(b)
	if n == 0 {
		return nil
	}
	if n > slabSize/8 {
		return bytes.Clone(b)
	}
	if n > len(s.free) {
		s.free = make([]byte, slabSize)
	}
	c := s.free[:n:n]
	s.free = s.free[n:]
	copy(c, b)
	return c
}

// text is clone as a string.
func (s *slab) text(b []byte) string { return view(s.clone(b)) }
