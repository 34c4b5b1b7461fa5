package state

import "sync/atomic"

// A word is a position in a segment together with 16 check bits, so that a flipped bit is not taken for another
// position, and with the two bits that end a segment:
//
//	63       48 47                          2  1      0
//	┌──────────┬────────────────────────────┬──────┬──────┐
//	│  check   │ position in bytes          │sealed│fenced│
//	└──────────┴────────────────────────────┴──────┴──────┘
//
// The check covers the position alone: anyone may fence with a single atomic OR.
type word uint64

const (
	fenced word = 1 << 0 // the epoch is over, the position is final
	sealed word = 1 << 1 // full, the same epoch goes on in the next segment

	positionBits = 46
	maxPosition  = 1<<positionBits - 1
)

func at(position uint64) word {
	return word(check(position)<<48 | position<<2)
}

func check(position uint64) uint64 { return (position + 1) * 0x9e3779b97f4a7c15 >> 48 }

func (w word) position() uint64  { return uint64(w) >> 2 & maxPosition }
func (w word) has(bit word) bool { return w&bit != 0 }

// valid tells whether w is a position that a record may begin at in a segment of so many bytes.
func (w word) valid(size uint64) bool {
	p := w.position()
	return check(p) == uint64(w)>>48 && p >= pageSize && p <= size && p%8 == 0
}

// raise moves an atomic word forward, never back.
func raise(a *atomic.Uint64, position uint64) {
	for {
		old := a.Load()
		if word(old).position() >= position && old != 0 {
			return
		}
		if a.CompareAndSwap(old, uint64(at(position))) {
			return
		}
	}
}
