package state

import "math/bits"

// index finds the records of a shard by the hash of their keys. It is one piece of memory without pointers: each slot
// is 24 bits of hash and 40 bits of location. A slot's home is the upper part of its hash, so the order of homes is
// the order of hashes at every size; growing needs no key, and a cursor over hashes survives it.
type index struct {
	slots []uint64
	shift uint // a tag >> shift is its home
	live  int
}

const (
	tagBits  = 24
	tagLimit = 1 << tagBits
	minSlots = 8
)

func slotOf(tag uint32, location uint64) uint64 { return uint64(tag)<<locationBits | location }
func tagOf(slot uint64) uint32                  { return uint32(slot >> locationBits) }
func locationOf(slot uint64) uint64             { return slot & locationMask }

func (x *index) home(tag uint32) int { return int(tag >> x.shift) }
func (x *index) mask() int           { return len(x.slots) - 1 }

// insert adds a slot that is not there yet.
func (x *index) insert(slot uint64) {
	if 4*(x.live+1) > 3*len(x.slots) {
		x.grow()
	}
	x.put(slot)
	x.live++
}

func (x *index) put(slot uint64) {
	i := x.home(tagOf(slot))
	for x.slots[i] != 0 {
		i = (i + 1) & x.mask()
	}
	x.slots[i] = slot
}

func (x *index) grow() {
	old := x.slots
	x.slots = make([]uint64, max(minSlots, 2*len(old)))
	x.shift = uint(tagBits - bits.TrailingZeros(uint(len(x.slots))))
	for _, s := range old {
		if s != 0 {
			x.put(s)
		}
	}
}

// find returns the place of exactly this slot, -1 if it is not there.
func (x *index) find(slot uint64) int {
	if len(x.slots) == 0 {
		return -1
	}
	for i := x.home(tagOf(slot)); x.slots[i] != 0; i = (i + 1) & x.mask() {
		if x.slots[i] == slot {
			return i
		}
	}
	return -1
}

// remove empties the place i and moves what had to step aside closer to its home.
func (x *index) remove(i int) {
	for j := (i + 1) & x.mask(); x.slots[j] != 0; j = (j + 1) & x.mask() {
		// How far a slot is from its home tells whether i lies between the two.
		if (j-x.home(tagOf(x.slots[j])))&x.mask() >= (j-i)&x.mask() {
			x.slots[i] = x.slots[j]
			i = j
		}
	}
	x.slots[i] = 0
	x.live--
}

// span calls visit with each slot whose tag is at least from, over about n homes, and returns the tag to go on with;
// tagLimit is the end. A slot is visited by exactly one of the calls that follow each other, wherever it lies.
func (x *index) span(from uint32, n int, visit func(slot uint64)) uint32 {
	if len(x.slots) == 0 {
		return tagLimit
	}
	first := x.home(from)
	last := min(first+max(n, 1), len(x.slots)) // a home, exclusive
	end := uint32(last) << x.shift
	for i := first; i < last || i < first+len(x.slots) && x.slots[i&x.mask()] != 0; i++ {
		if s := x.slots[i&x.mask()]; s != 0 && tagOf(s) >= from && tagOf(s) < end {
			visit(s)
		}
	}
	return end
}
