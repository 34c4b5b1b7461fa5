package otp

import "hash/maphash"

// rows are those of one shard of a [Table]: slots in one piece, in which a key lies at its place by its hash or as soon behind
// it as there was room. So a row is found once and changed where it is, which a map of Go's does in two steps.
type rows[K comparable, V any] struct {
	seed  maphash.Seed
	slots []slot[K, V] // a power of two, at least a quarter of them free
	count int
}

// slot is zero while it is free.
type slot[K comparable, V any] struct {
	used bool
	key  K
	row  V
}

// newRows has room for so many.
func newRows[K comparable, V any](seed maphash.Seed, expected int) rows[K, V] {
	n := 1
	for 4*expected > 3*n {
		n *= 2
	}
	return rows[K, V]{seed: seed, slots: make([]slot[K, V], n)}
}

// hash decides about the shard with its lower bits, and with the others about the place there.
func hash[K comparable](seed maphash.Seed, key K) uint64 { return maphash.Comparable(seed, key) }

func (r *rows[K, V]) place(h uint64) int { return int(h/tableShards) & (len(r.slots) - 1) }

// find is the index of the slot of a key, or of the free one that it would have. A row that is not there is zero.
func (r *rows[K, V]) find(h uint64, key K) int {
	i := r.place(h)
	for r.slots[i].used && r.slots[i].key != key {
		i = (i + 1) & (len(r.slots) - 1)
	}
	return i
}

// set writes the row of a key for which find has found i.
func (r *rows[K, V]) set(i int, h uint64, key K, row V) {
	if r.slots[i].used {
		r.slots[i].row = row
		return
	}
	if r.count++; 4*r.count > 3*len(r.slots) {
		r.grow()
		i = r.find(h, key)
	}
	r.slots[i] = slot[K, V]{true, key, row}
}

func (r *rows[K, V]) grow() {
	old := r.slots
	r.slots = make([]slot[K, V], max(8, 2*len(old)))
	for _, s := range old {
		if s.used {
			r.slots[r.find(hash(r.seed, s.key), s.key)] = s
		}
	}
}

// remove frees a slot. Those behind it that would not be found across the gap move up.
func (r *rows[K, V]) remove(i int) {
	r.count--
	last := len(r.slots) - 1
	for j := (i + 1) & last; r.slots[j].used; j = (j + 1) & last {
		if from := r.place(hash(r.seed, r.slots[j].key)); (j-from)&last >= (j-i)&last {
			r.slots[i] = r.slots[j]
			i = j
		}
	}
	r.slots[i] = slot[K, V]{}
}

func (r *rows[K, V]) clear() {
	clear(r.slots)
	r.count = 0
}
