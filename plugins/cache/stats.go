package main

// Stats of a namespace, or of several.
type Stats struct {
	Name    string `json:"name"`
	Entries int64  `json:"entries"`
	Bytes   int64  `json:"bytes"` // of keys and values; 0 where a number of entries is the bound
	Counts
}

type line struct {
	name string
	n    int64
}

func (st *Stats) lines() []line {
	return []line{
		{"entries", st.Entries},
		{"bytes", st.Bytes},
		{"hits", int64(st.Hits)},
		{"misses", int64(st.Misses)},
		{"writes", int64(st.Writes)},
		{"expired", int64(st.Expired)},
		{"evicted", int64(st.Evicted)},
	}
}

func (st *Stats) add(o Stats) {
	st.Entries, st.Bytes = st.Entries+o.Entries, st.Bytes+o.Bytes
	st.Counts = st.Counts.plus(o.Counts)
}

// stats counts a namespace now. It walks through its table, and disturbs nobody.
func (ss *spaces) stats(s *space) Stats {
	entries, bytes := ss.size(s)
	return Stats{s.name, entries, bytes, s.stats.read()}
}

// size counts the keys of a namespace, and their bytes.
func (ss *spaces) size(s *space) (entries, bytes int64) {
	if s.bound != nil && s.bound.filled.Load() {
		return s.bound.size()
	}
	return s.count(func(key string) bool { return ss.of([]byte(key)) == s })
}

// count walks through the table of a namespace.
func (s *space) count(mine func(key string) bool) (entries, bytes int64) {
	_ = s.rows.Range(func(key string, row []byte) bool {
		if mine(key) {
			entries++
			bytes += int64(len(key) + len(row))
		}
		return true
	})
	return entries, bytes
}
