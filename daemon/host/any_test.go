package host

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/theseusd/theseus/sdk/supervise"
	"github.com/theseusd/theseus/upgrades"
)

// storm is a random history of one yard.
type storm struct {
	*yard
	*rand.Rand
	names []string
	taken map[string]bool
}

// Whatever dies, is upgraded, moved in the tree or does not start for a while: in the end every service runs, once.
func TestAnyHistoryEndsWithEverythingRunning(t *testing.T) {
	seeds := uint64(300)
	if testing.Short() {
		seeds = 60
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inYard(t, func(y *yard) {
				s := &storm{yard: y, Rand: rand.New(rand.NewPCG(seed, 1)), names: []string{"a", "b", "c", "d", "e"}, taken: map[string]bool{}}
				s.serve(s.names...)
				for range 40 {
					s.step()
				}
				s.calm()
				s.check()
			})
		})
	}
}

func (s *storm) any() string { return s.names[s.IntN(len(s.names))] }

func (s *storm) step() {
	name := s.any()
	switch s.IntN(8) {
	case 0, 1:
		s.die(name, []string{"signal: killed", "exit status 1"}[s.IntN(2)])
	case 2:
		s.set(func() { s.broken[name] = s.IntN(2) == 0 })
	case 3:
		s.set(func() { s.slow[name] = time.Duration(s.IntN(20)) * time.Second })
	case 4, 5:
		s.handOver(name)
	case 6:
		s.change()
	case 7:
		time.Sleep(time.Duration(s.IntN(40000)) * time.Millisecond)
	}
	synctest.Wait()
}

// handOver is an upgrade that takes a service, or gives it back: as it was, with another process, or dead.
func (s *storm) handOver(name string) {
	if !s.taken[name] {
		s.taken[name] = true
		s.Take(name)
		return
	}
	delete(s.taken, name)
	old := s.hull(name)
	switch s.IntN(3) {
	case 0:
		if isDone(old) {
			s.Give(name, upgrades.Gone(s.pkg(name)))
			return
		}
		s.Give(name, old)
	case 1:
		young := s.launch(name)
		old.end("exit status 0")
		s.Give(name, young)
	case 2:
		old.end("signal: killed")
		s.Give(name, old)
	}
}

// change draws another tree. If everything runs, everything runs on.
func (s *storm) change() {
	before := map[string]*hull{}
	for _, name := range s.names {
		if h := s.hull(name); len(s.taken) == 0 && s.service(name).view().State == stateRunning && !isDone(h) {
			before[name] = h
		}
	}
	s.declare(s.draw(), nil)
	for name, h := range before {
		if len(before) == len(s.names) && s.hull(name) != h {
			s.Errorf("%s was restarted by a change of the tree", name)
		}
	}
}

func (s *storm) draw() sups {
	names := slices.Clone(s.names)
	s.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	tree := sups{}
	for _, name := range []string{"x", "y", "z"}[:s.IntN(4)] {
		n := 1 + s.IntN(len(names))
		group := sup(supervise.Strategy(s.IntN(3)), s.IntN(5), names[:n]...)
		if s.IntN(3) == 0 {
			group.Restart = supervise.Restart(s.IntN(3))
		}
		tree[name] = group
		names = names[n:]
		if s.IntN(2) == 0 {
			names = append(names, name) // the next one may have it as a child
		}
		if len(names) == 0 {
			break
		}
	}
	return tree
}

// calm mends everything, gives back what was taken, and waits until every rest is over.
func (s *storm) calm() {
	s.set(func() {
		clear(s.broken)
		clear(s.slow)
	})
	for _, name := range slices.Sorted(maps.Keys(s.taken)) {
		s.handOver(name)
	}
	time.Sleep(time.Hour)
	synctest.Wait()
	s.mend()
}

// mend gives anew what has failed: that a supervisor which is not permanent has, somebody has to start.
func (s *storm) mend() {
	for _, name := range s.names {
		if state := s.service(name).view().State; state == stateFailed || state == stateEnded {
			s.Take(name)
			s.Give(name, upgrades.Gone(s.pkg(name)))
			time.Sleep(time.Minute)
		}
	}
}

func (s *storm) check() {
	s.states("a:running b:running c:running d:running e:running")
	running := map[string]int{}
	for _, h := range s.hulls {
		if !isDone(h) {
			running[h.pkg.Name]++
		}
	}
	if want := (map[string]int{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}); !maps.Equal(running, want) {
		s.Errorf("processes: %v", running)
	}
	before := maps.Clone(s.live)
	for _, name := range s.names { // and each is restarted still
		s.die(name, "signal: killed")
		time.Sleep(time.Minute)
		s.mend()
		if h := s.hull(name); h == before[name] || isDone(h) {
			s.Errorf("%s is not restarted", name)
		}
	}
}
