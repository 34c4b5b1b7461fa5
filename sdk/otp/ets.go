package otp

import (
	"hash/maphash"
	"iter"
	"sync"
)

// Table is a table in memory that any process reads and writes at the same time, as a public one of ets of the type set.
// A row is a copy: V should hold no pointers into what others change. Rows do not outlive the program and do not go on in
// its next version; those that must are of a state.Table.
//
// There is memory for 1.3 to 2.7 times the rows. It grows by the shard: whoever writes then moves a 256th of the table.
//
// A table made by [NewTable] has no owner and stays as long as somebody holds it. One that a process owns is emptied when
// the process ends, unless it has an heir: see [Table.Own].
type Table[K comparable, V any] struct {
	seed   maphash.Seed
	shards [tableShards]tableShard[K, V]

	mu    sync.Mutex
	owner PID
	heir  PID
}

const tableShards = 256

type tableShard[K comparable, V any] struct {
	mu   sync.Mutex
	rows rows[K, V]
	turn V        // of Update, which would have to allocate it
	_    [32]byte // a shard for itself in its cache line
}

// Transferred tells the heir of a table that its owner has ended.
type Transferred struct {
	Table any // the *Table[K, V]
	From  PID
}

// NewTable returns an empty table. The number of rows that are expected spares time; it may be 0.
func NewTable[K comparable, V any](rows int) *Table[K, V] {
	t := &Table[K, V]{seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].rows = newRows[K, V](t.seed, rows/tableShards)
	}
	return t
}

// shard is where a key is, by its hash.
func (t *Table[K, V]) shard(key K) (s *tableShard[K, V], h uint64) {
	h = hash(t.seed, key)
	return &t.shards[h%tableShards], h
}

// Get returns a row.
func (t *Table[K, V]) Get(key K) (row V, ok bool) {
	s, h := t.shard(key)
	s.mu.Lock()
	at := &s.rows.slots[s.rows.find(h, key)]
	row, ok = at.row, at.used
	s.mu.Unlock()
	return row, ok
}

// Put writes a row, whether it is there or not.
func (t *Table[K, V]) Put(key K, row V) {
	s, h := t.shard(key)
	s.mu.Lock()
	s.rows.set(s.rows.find(h, key), h, key, row)
	s.mu.Unlock()
}

// Add writes a row unless there is one, as ets:insert_new, and tells whether it has.
func (t *Table[K, V]) Add(key K, row V) bool {
	s, h := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.rows.find(h, key)
	if s.rows.slots[i].used {
		return false
	}
	s.rows.set(i, h, key, row)
	return true
}

// Update changes a row in place, at one instant for all others, as ets:update_counter; a row that is not there is the zero
// V before. f must be short and must not use the table. If f panics the row stays as it was.
func (t *Table[K, V]) Update(key K, f func(row *V)) V {
	s, h := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.rows.find(h, key)
	s.turn = s.rows.slots[i].row
	f(&s.turn)
	row := s.turn
	s.rows.set(i, h, key, row)
	return row
}

// Delete removes a row and returns it, as ets:take.
func (t *Table[K, V]) Delete(key K) (row V, ok bool) {
	s, h := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.rows.find(h, key)
	if at := s.rows.slots[i]; at.used {
		s.rows.remove(i)
		return at.row, true
	}
	return row, false
}

// Len is the number of rows.
func (t *Table[K, V]) Len() (n int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		n += s.rows.count
		s.mu.Unlock()
	}
	return n
}

// All goes through the rows in no order. Each shard is as it was at one instant; what is written meanwhile elsewhere may be
// seen or not. The body may use the table.
func (t *Table[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for i := range t.shards {
			keys, rows := t.shards[i].copied()
			for j, k := range keys {
				if !yield(k, rows[j]) {
					return
				}
			}
		}
	}
}

func (s *tableShard[K, V]) copied() (keys []K, rows []V) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys, rows = make([]K, 0, s.rows.count), make([]V, 0, s.rows.count)
	for _, at := range s.rows.slots {
		if at.used {
			keys, rows = append(keys, at.key), append(rows, at.row)
		}
	}
	return keys, rows
}

// Clear removes all rows.
func (t *Table[K, V]) Clear() {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		s.rows.clear()
		s.mu.Unlock()
	}
}

// Owner is the process whose end empties the table; 0 if it has none.
func (t *Table[K, V]) Owner() PID {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.owner
}

// Own makes a process the owner, also if another one is. When it ends, the heir becomes the owner and is told with
// [Transferred]; with the heir 0, or one that has ended too, the rows are removed. They are also when the process has gone on
// in another version of the service, and with it comes back.
func (t *Table[K, V]) Own(n *Node, owner, heir PID) error {
	p := owner.resolve(n)
	if p == nil {
		return &Exit{PID: owner, Reason: ErrNoProc}
	}
	t.mu.Lock()
	t.owner, t.heir = owner, heir
	t.mu.Unlock()
	p.watch(watcher{tell: func(reason error) { t.left(n, owner, reason) }})
	return nil
}

// left hands the table of a process that has ended to the heir.
func (t *Table[K, V]) left(n *Node, owner PID, reason error) {
	t.mu.Lock()
	if t.owner != owner {
		t.mu.Unlock()
		return
	}
	heir := t.heir
	t.owner, t.heir = 0, 0
	t.mu.Unlock()
	q := heir.resolve(n)
	if reason == ErrAsleep || q == nil || t.Own(n, heir, 0) != nil {
		t.Clear()
		return
	}
	q.tell(Transferred{Table: t, From: owner})
}
