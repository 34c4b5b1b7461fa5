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
	mu   sync.RWMutex
	rows map[K]V
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
		t.shards[i].rows = make(map[K]V, rows/tableShards)
	}
	return t
}

func (t *Table[K, V]) shard(key K) *tableShard[K, V] {
	return &t.shards[maphash.Comparable(t.seed, key)%tableShards]
}

// Get returns a row.
func (t *Table[K, V]) Get(key K) (row V, ok bool) {
	s := t.shard(key)
	s.mu.RLock()
	row, ok = s.rows[key]
	s.mu.RUnlock()
	return row, ok
}

// Put writes a row, whether it is there or not.
func (t *Table[K, V]) Put(key K, row V) {
	s := t.shard(key)
	s.mu.Lock()
	s.rows[key] = row
	s.mu.Unlock()
}

// Add writes a row unless there is one, as ets:insert_new, and tells whether it has.
func (t *Table[K, V]) Add(key K, row V) bool {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.rows[key]; there {
		return false
	}
	s.rows[key] = row
	return true
}

// Update changes a row in place, at one instant for all others, as ets:update_counter; a row that is not there is the zero
// V before. f must be short and must not use the table.
func (t *Table[K, V]) Update(key K, f func(row *V)) V {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn = s.rows[key]
	f(&s.turn)
	row := s.turn
	s.rows[key] = row
	return row
}

// Delete removes a row and returns it, as ets:take.
func (t *Table[K, V]) Delete(key K) (row V, ok bool) {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if row, ok = s.rows[key]; ok {
		delete(s.rows, key)
	}
	return row, ok
}

// Len is the number of rows.
func (t *Table[K, V]) Len() (n int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		n += len(s.rows)
		s.mu.RUnlock()
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
	s.mu.RLock()
	defer s.mu.RUnlock()
	keys, rows = make([]K, 0, len(s.rows)), make([]V, 0, len(s.rows))
	for k, v := range s.rows {
		keys, rows = append(keys, k), append(rows, v)
	}
	return keys, rows
}

// Clear removes all rows.
func (t *Table[K, V]) Clear() {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		clear(s.rows)
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
