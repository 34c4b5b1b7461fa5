package host

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/theseusd/theseus/sdk/supervise"
	"github.com/theseusd/theseus/upgrades"
	"github.com/theseusd/theseus/upgrades/release"
)

// dying is a yard with a supervisor s, which starts b and c, in the moment in which it has given up and its last child takes its
// time to stop. An upgrade has b.
func dying(y *yard, s release.Supervisor, more sups) {
	y.Helper()
	y.serve("b", "c")
	tree := sups{"s": s}
	for name, sup := range more {
		tree[name] = sup
	}
	y.declare(tree, map[string]release.Member{"c": {Shutdown: release.Shutdown(5 * time.Second)}})
	y.Take("b")
	y.hull("b").end("exit status 0")
	y.die("d", "signal: killed")
	y.wrote("+d")
	y.deaf["c"] = true
	y.die("d", "signal: killed")
	y.wrote("")
}

func TestServiceThatIsGivenWhileItsGroupDies(t *testing.T) {
	for _, restart := range []supervise.Restart{supervise.Permanent, supervise.Transient, supervise.Temporary} {
		for _, nested := range []bool{false, true} {
			t.Run(restart.String(), func(t *testing.T) {
				inYard(t, func(y *yard) {
					y.serve("d")
					s := sup(supervise.OneForOne, 1, "b", "c", "d")
					s.Restart = restart
					var more sups
					if nested {
						more = sups{"top": sup(supervise.OneForOne, 9, "s")}
					}
					dying(y, s, more)
					y.Give("b", y.launch("b"))
					y.set(func() { y.deaf["c"] = false })
					time.Sleep(failedRest / 2)
					y.clear()
					y.die("b", "signal: killed")
					y.wrote("+b")
					y.states("b:running c:running d:running")
				})
			})
		}
	}
}

// Right under the root as elsewhere, the restart type of a supervisor says whether it begins again.
func TestWhichGroupsBeginAgain(t *testing.T) {
	for _, c := range []struct {
		restart supervise.Restart
		broken  bool // b does not come up when the group is started; else it crashes too often
		want    string
	}{
		{supervise.Permanent, false, "+a +b"},
		{supervise.Permanent, true, "+a +b"},
		{supervise.Transient, false, ""},
		{supervise.Transient, true, "+a +b"},
		{supervise.Temporary, false, ""},
		{supervise.Temporary, true, ""},
	} {
		t.Run(fmt.Sprintf("%s broken=%t", c.restart, c.broken), func(t *testing.T) {
			inYard(t, func(y *yard) {
				y.serve("a", "b")
				s := sup(supervise.OneForAll, 0, "a", "b")
				s.Restart = c.restart
				y.declare(sups{"s": s}, nil)
				y.die("b", "signal: killed")
				y.wrote("-a")
				if c.broken {
					y.broken["b"] = true
					y.Take("a")
					y.Give("a", upgrades.Gone(y.pkg("a")))
					y.wrote("+a !b -a")
					y.set(func() { y.broken["b"] = false })
				}
				y.states("a:failed b:failed")
				time.Sleep(failedRest + time.Second)
				y.wrote(c.want)
			})
		})
	}
}

// What is temporary, and stopped with others, is gone: it does not wait for ever to be restarted.
func TestTemporaryIsGoneAfterItWasStopped(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a", "b", "c")
		temporary := sup(supervise.OneForOne, 1, "c")
		temporary.Restart = supervise.Temporary
		y.declare(sups{"s": sup(supervise.OneForAll, 3, "a", "b", "t"), "t": temporary}, map[string]release.Member{"b": {Restart: supervise.Temporary}})
		y.die("a", "signal: killed")
		y.wrote("-c -b +a")
		y.states("a:running b:ended c:ended")
		for _, name := range []string{"b", "c"} {
			if got := y.service(name).view().Reason; got != "a failed: signal: killed" {
				t.Errorf("%s: reason %q", name, got)
			}
			y.Take(name)
			y.Give(name, upgrades.Gone(y.pkg(name)))
		}
		time.Sleep(time.Minute)
		y.states("a:running b:ended c:running")
	})
}

// A supervisor that gives up while another restart type comes for it goes by the one that its own supervisor has in that instant:
// either it is temporary, and gone, or permanent, and takes its supervisor along. It was gone for itself and came again for the other.
func TestSupervisorThatGivesUpWhileItsRestartTypeChanges(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a", "b")
		x := sup(supervise.OneForOne, 1, "a")
		x.Restart = supervise.Temporary
		above := sup(supervise.OneForOne, 3, "b", "x")
		y.declare(sups{"y": above, "x": x}, nil)
		y.slow["a"], y.broken["a"] = workPatience/4, true
		y.die("a", "signal: killed")
		x.Restart, x.Intensity = supervise.Permanent, 2
		y.declare(sups{"y": above, "x": x}, nil)
		time.Sleep(time.Second)
		synctest.Wait()
		gone := y.service("b").view().State == stateRunning
		if gone {
			y.wrote("!a")
			y.states("a:failed b:running")
		} else {
			y.wrote("!a !a !a !a -b")
			y.states("a:failed b:failed")
		}
		y.set(func() { y.broken["a"] = false })
		y.Take("a")
		y.Give("a", upgrades.Gone(y.pkg("a")))
		time.Sleep(time.Second)
		if gone {
			y.wrote("+a")
		} else {
			y.wrote("+b +a")
		}
		y.states("a:running b:running")
	})
}

// A supervisor that has failed, and does not come up where it has come to, is tried again there.
func TestFailedSupervisorThatMovesIsTriedAgain(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a", "b", "c")
		low := sup(supervise.OneForAll, 0, "a", "b")
		y.declare(sups{"high": sup(supervise.OneForOne, 3, "c"), "low": low}, nil)
		y.broken["a"] = true
		y.die("a", "signal: killed")
		y.wrote("-b")
		y.declare(sups{"high": sup(supervise.OneForOne, 3, "c", "low"), "low": low}, nil)
		y.wrote("!a")
		time.Sleep(failedRest + time.Second)
		y.wrote("!a")
		y.set(func() { y.broken["a"] = false })
		time.Sleep(failedRest)
		y.wrote("+a +b")
		y.states("a:running b:running c:running")
	})
}
