package state

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func TestIndexHoldsWhatAMapHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x index
		model := map[uint64]bool{}
		bits := rapid.SampledFrom([]int{1, 4, 24}).Draw(t, "bits") // few bits: many tags are equal
		for i := range rapid.IntRange(0, 200).Draw(t, "n") {
			tag := rapid.Uint32Range(0, 1<<bits-1).Draw(t, "tag") << (tagBits - bits)
			s := slotOf(tag, uint64(i+512))
			x.insert(s)
			model[s] = true
			if rapid.Bool().Draw(t, "remove") {
				s = anyOf(t, model)
				x.remove(x.find(s))
				delete(model, s)
			}
		}
		same(t, &x, model)
	})
}

func anyOf(t *rapid.T, model map[uint64]bool) uint64 {
	var list []uint64
	for s := range model {
		list = append(list, s)
	}
	return rapid.SampledFrom(list).Draw(t, "which")
}

func same(t *rapid.T, x *index, model map[uint64]bool) {
	seen := map[uint64]bool{}
	for from := uint32(0); from < tagLimit; {
		from = x.span(from, rapid.IntRange(1, 9).Draw(t, "homes"), func(s uint64) {
			if seen[s] {
				t.Fatalf("slot %x came twice", s)
			}
			seen[s] = true
		})
	}
	if len(seen) != len(model) || x.live != len(model) {
		t.Fatalf("%d slots visited, %d counted, want %d", len(seen), x.live, len(model))
	}
	for s := range model {
		if !seen[s] || x.find(s) < 0 {
			t.Fatalf("slot %x is lost", s)
		}
	}
}

func TestSpanSurvivesGrowth(t *testing.T) {
	var x index
	r := rand.New(rand.NewPCG(7, 7))
	stays := map[uint64]int{}
	for i := range 100 {
		s := slotOf(r.Uint32N(tagLimit), uint64(1000+i))
		x.insert(s)
		stays[s] = 0
	}
	for from := uint32(0); from < tagLimit; {
		from = x.span(from, 3, func(s uint64) {
			if _, ok := stays[s]; ok {
				stays[s]++
			}
		})
		for i := 0; i < 20 && x.live < 5000; i++ {
			x.insert(slotOf(r.Uint32N(tagLimit), r.Uint64N(1<<30)+5000))
		}
	}
	for s, n := range stays {
		if n != 1 {
			t.Errorf("slot %x came %d times, want once", s, n)
		}
	}
}

func TestDeadlinesComeInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d deadlines
		for i, at := range rapid.SliceOfN(rapid.Uint64Range(1, 50), 1, 100).Draw(t, "at") {
			d.push(deadline{at, uint64(i)})
		}
		n := len(d)
		d.prune(func(slot uint64) bool { return slot%3 != 0 })
		if want := n - (n+2)/3; len(d) != want {
			t.Fatalf("%d are left, want %d", len(d), want)
		}
		for last := uint64(0); len(d) > 0; {
			e := d.pop()
			if e.at < last || e.slot%3 == 0 {
				t.Fatalf("%v after %d", e, last)
			}
			last = e.at
		}
	})
}
