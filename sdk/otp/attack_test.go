package otp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// sea is a service under attack: callers count on its processes all the while, and whoever is awake answers.
type sea struct {
	*port
	names  int
	awake  atomic.Pointer[ship]
	acked  []atomic.Int64
	unsure []atomic.Int64 // calls of which nobody knows
	over   atomic.Bool
	wg     sync.WaitGroup
	start  func(n *Node, name Name) (PID, error) // a process
}

func newSea(t *testing.T, names int) *sea {
	return &sea{port: newPort(t), names: names, acked: make([]atomic.Int64, names), unsure: make([]atomic.Int64, names)}
}

func (s *sea) attack(callers int) {
	for range callers {
		s.wg.Go(func() {
			for !s.over.Load() {
				s.call(rand.IntN(s.names))
			}
		})
	}
}

// call counts once on one process, and starts it if it is not there.
func (s *sea) call(i int) {
	n, name := s.awake.Load().Node(), Name(fmt.Sprint("p", i))
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute) // a call that is lost is seen, a slow machine is not
	defer cancel()
	_, err := Call(n.With(ctx), name, count{By: 1})
	var exit *Exit
	switch {
	case err == nil:
		s.acked[i].Add(1)
	case errors.Is(err, ErrAsleep), errors.Is(err, ErrOverloaded):
		time.Sleep(100 * time.Microsecond)
	case errors.As(err, &exit) && exit.PID == 0:
		if _, err := s.start(n, name); err != nil && !errors.Is(err, ErrTaken) {
			time.Sleep(100 * time.Microsecond)
		}
	default:
		s.unsure[i].Add(1)
	}
}

// settle ends the attack and compares every count.
func (s *sea) settle(t *testing.T) (doubts int64) {
	t.Helper()
	s.over.Store(true)
	s.wg.Wait()
	n := s.awake.Load().Node()
	var total int64
	for i := range s.names {
		low, high := s.acked[i].Load(), s.acked[i].Load()+s.unsure[i].Load()
		total, doubts = total+low, doubts+high-low
		got, err := Call(n, Name(fmt.Sprint("p", i)), count{})
		if errors.Is(err, ErrNoProc) && low == 0 {
			continue
		}
		if err != nil || got < low || got > high {
			t.Errorf("p%d counts %d (%v), and %d to %d were acknowledged", i, got, err, low, high)
		}
	}
	t.Logf("%d calls acknowledged, %d in doubt", total, doubts)
	if total == 0 {
		t.Error("nothing was acknowledged")
	}
	return doubts
}

var tallyShadow = map[string]int32{"process/tally": 1}

// Upgrades, rollbacks, switches that are taken back and the ends of probations, by chance, under calls: each call that
// was acknowledged is counted once.
func TestAttackWithUpgradesAndRollbacks(t *testing.T) {
	s := newSea(t, 200)
	b1, b2 := tallyV1(), tallyV2()
	v1 := s.launch("1.0.0", Options{Behaviours: []AnyBehaviour{b1}})
	s.start = func(n *Node, name Name) (PID, error) {
		if n.ledger.byKind[b1.seal()] != nil {
			return Start(n, b1, nil, Named(name))
		}
		return Start(n, b2, nil, Named(name))
	}
	s.awake.Store(v1)
	s.attack(4)
	steps := 60
	if testing.Short() {
		steps = 15
	}
	now, other := v1, s.build("2.0.0", Options{Behaviours: []AnyBehaviour{b2}})
	shadows := map[*ship]map[string]int32{other: tallyShadow}
	for range steps {
		time.Sleep(time.Duration(rand.IntN(5000)) * time.Microsecond)
		switch rand.IntN(5) {
		case 0:
			now.letGo()
			now.takeOver(shadows[now], true)
		case 1:
			now.Settle()
		default:
			now.letGo()
			s.awake.Store(other)
			other.takeOver(shadows[other], rand.IntN(4) > 0)
			now, other = other, now
		}
	}
	if doubts := s.settle(t); doubts > 0 {
		t.Errorf("%d calls were not answered", doubts)
	}
}

// The same with crashes at any instant, of processes that persist.
func TestAttackWithCrashes(t *testing.T) {
	s := newSea(t, 50)
	b := tallyV1(persisting)
	o := Options{Behaviours: []AnyBehaviour{b}}
	s.start = func(n *Node, name Name) (PID, error) { return Start(n, b, nil, Named(name)) }
	now := s.launch("1.0.0", o)
	s.awake.Store(now)
	s.attack(4)
	steps := 60
	if testing.Short() {
		steps = 15
	}
	other := s.build("1.0.1", o)
	for range steps {
		time.Sleep(time.Duration(rand.IntN(5000)) * time.Microsecond)
		switch rand.IntN(4) {
		case 0: // whoever is awake is fenced without a word
			other.takeOver(nil, rand.IntN(2) == 0)
			s.awake.Store(other)
			now.stop()
			now, other = other, s.build("1.0.2", o)
		case 1: // the one that should go on dies
			now.letGo()
			other.stop()
			other = s.build("1.0.3", o)
			s.awake.Store(other)
			other.takeOver(nil, true)
			now, other = other, now
		case 2: // somebody suspends a process
			n := now.Node()
			name := Name(fmt.Sprint("p", rand.IntN(s.names)))
			if pid := WhereIs(n, name); pid != 0 {
				is(t, Suspend(n, pid), nil)
				is(t, Resume(n, pid), nil)
			}
		default:
			now.letGo()
			s.awake.Store(other)
			other.takeOver(nil, true)
			now, other = other, now
		}
	}
	s.settle(t)
}
