package supervise

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Orphan is a child that was killed, could not be, and runs on without a supervisor.
type Orphan struct {
	Supervisor, ID string
	Started, Since time.Time
}

// orphanage is shared by a whole tree, so an orphan outlives the supervisor that lost it.
type orphanage struct {
	mu   sync.Mutex
	runs map[*incarnation]Orphan
}

func newOrphanage() *orphanage { return &orphanage{runs: map[*incarnation]Orphan{}} }

func (o *orphanage) add(inc *incarnation, one Orphan) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.runs[inc] = one
}

func (o *orphanage) remove(inc *incarnation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.runs, inc)
}

// Orphans lists the children of this supervisor's whole tree that could not be killed and have not ended, the oldest
// first. It may be asked at any time, also from hooks and after Run has returned.
func (s *Supervisor) Orphans() []Orphan {
	s.orphans.mu.Lock()
	defer s.orphans.mu.Unlock()
	all := make([]Orphan, 0, len(s.orphans.runs))
	for _, one := range s.orphans.runs {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b Orphan) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Supervisor, b.Supervisor), cmp.Compare(a.ID, b.ID))
	})
	return all
}
