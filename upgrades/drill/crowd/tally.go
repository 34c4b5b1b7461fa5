package crowd

import "fmt"

// Tally is what clients have seen.
type Tally struct {
	Clients, Heard       int
	Lost, Twice, Closed  int   // none of them, if all is well
	Joined, Left         int   // likewise, since all had come
	Recovered, ByHistory int   // how often clients came back to what they had missed: with the answer, or in the history
	First                error // that closed one
}

// String is how scripts see it.
func (t Tally) String() string {
	return fmt.Sprintf("clients=%d closed=%d lost=%d twice=%d joins=%d leaves=%d recovered=%d history=%d",
		t.Clients, t.Closed, t.Lost, t.Twice, t.Joined, t.Left, t.Recovered, t.ByHistory)
}

// Disturbed tells whether anything is not as it should be.
func (t Tally) Disturbed() bool { return t.Lost+t.Twice+t.Closed+t.Joined+t.Left > 0 }

func (t *Tally) add(o Tally) {
	t.Heard += o.Heard
	t.Lost, t.Twice, t.Closed = t.Lost+o.Lost, t.Twice+o.Twice, t.Closed+o.Closed
	t.Left += o.Left
	t.Recovered, t.ByHistory = t.Recovered+o.Recovered, t.ByHistory+o.ByHistory
	if t.First == nil {
		t.First = o.First
	}
}

// numbers are those of a speaker's messages that were heard. One that was refused, and said again, comes later.
type numbers struct {
	last    int
	missing map[int]bool
}

// hear is true for a number that was heard before.
func (s *numbers) hear(n int) (again bool) {
	if n <= s.last {
		again = !s.missing[n]
		delete(s.missing, n)
		return again
	}
	for s.last++; s.last < n; s.last++ {
		if s.missing == nil {
			s.missing = map[int]bool{}
		}
		s.missing[s.last] = true
	}
	return false
}
