package upgrades

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// mishap is what goes wrong at a call.
type mishap struct {
	at int
	is act
}

func (f mishap) String() string { return fmt.Sprintf("%s at call %d", f.is, f.at) }

// Any two things may go wrong in one upgrade, and the second one may be the end of the daemon, or of the machine.
func TestAnyTwoFailures(t *testing.T) {
	if raced {
		t.Skip("what one failure and one crash go through is raced by TestEveryFailure and TestCrashAtEveryCall")
	}
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			n := calls(t, s)
			chance := rand.New(rand.NewPCG(1, 1))
			for range pairsOfFailures() {
				first := mishap{chance.IntN(n), act(1 + chance.IntN(int(freeze)))}
				then := mishap{first.at + 1 + chance.IntN(n+20-first.at), act(1 + chance.IntN(int(crashAfter)))}
				twoFailures(t, s, first, then, chance.IntN(2) == 0)
			}
		})
	}
}

func pairsOfFailures() int {
	if testing.Short() {
		return 10
	}
	return 50
}

func twoFailures(t *testing.T, s scenario, first, then mishap, power bool) {
	synctest.Test(t, func(t *testing.T) {
		w := s.set(t)
		d, crashed, _ := s.play(w, func(n int, _ string) act {
			for _, f := range []mishap{first, then} {
				if n == f.at {
					return f.is
				}
			}
			return well
		})
		story := w.story()
		where := fmt.Sprintf("%s, %s, power fails: %v", first, then, power && crashed)
		if f := w.liveFaults(d.e); len(f) > 0 && !crashed {
			t.Errorf("%s\n%s\n%s", where, strings.Join(f, "\n"), story)
		}
		d.end()
		if power && crashed {
			w.powerFails()
		}
		d = rest(w)
		defer d.end()
		if f := slices.DeleteFunc(w.faults(d.e), isRefusal); len(f) > 0 {
			t.Errorf("%s\n%s\n%s\nthen %s", where, strings.Join(f, "\n"), story, w.story())
		}
		restsAgain(t, w, where)
	})
}

// isRefusal is for a version that refuses to take over because it cannot read every row: a journal that has refused the
// way back leads there after a crash, and on to the version that can.
func isRefusal(f string) bool { return strings.Contains(f, "has no shadow for") }
