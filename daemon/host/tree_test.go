package host

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/theseusd/theseus/sdk/supervise"
	"github.com/theseusd/theseus/upgrades"
	"github.com/theseusd/theseus/upgrades/release"
)

type sups = map[string]release.Supervisor

func TestServicesWithoutATreeFailAlone(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a", "b")
		for range 3 {
			y.die("a", "signal: killed")
		}
		y.wrote("+a +a +a")
		y.die("a", "signal: killed")
		y.wrote("")
		y.states("a:failed b:running")
		y.noted("crashed a", "restarted a", "crashed a", "restarted a", "crashed a", "restarted a", "crashed a", "failed a")
		if got := y.service("a").view().Reason; got != "3 restarts within 5s did not help: signal: killed" {
			t.Errorf("reason %q", got)
		}
		if got := time.Until(y.service("a").view().Again); got != failedRest {
			t.Errorf("again in %s", got)
		}
		time.Sleep(failedRest - time.Second)
		y.wrote("")
		time.Sleep(2 * time.Second)
		y.wrote("+a")
		if got := y.service("a").view().Again; !got.IsZero() {
			t.Errorf("it runs, and is to be started at %s", got)
		}
		y.states("a:running b:running")
	})
}

func TestRestartsOlderThanThePeriodAreForgotten(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a")
		for range 20 {
			y.die("a", "signal: killed")
			time.Sleep(2 * time.Second)
		}
		y.states("a:running")
	})
}

func TestServiceThatFailedIsTriedAgainWhenItIsGiven(t *testing.T) {
	inYard(t, func(y *yard) {
		y.broken["a"] = true
		y.Give("a", upgrades.Gone(y.pkg("a")))
		y.wrote("!a !a !a")
		y.states("a:failed")
		y.mu.Lock()
		y.broken["a"] = false
		y.mu.Unlock()
		y.Take("a")
		y.Give("a", upgrades.Gone(y.pkg("a")))
		y.wrote("+a")
		y.states("a:running")
	})
}

func TestTakenServiceThatFailedIsLeftAlone(t *testing.T) {
	inYard(t, func(y *yard) {
		y.broken["a"] = true
		y.Give("a", upgrades.Gone(y.pkg("a")))
		y.wrote("!a !a !a")
		y.Take("a")
		time.Sleep(time.Hour)
		y.wrote("")
	})
}

func TestStrategies(t *testing.T) {
	for _, c := range []struct {
		strategy supervise.Strategy
		want     string
	}{
		{supervise.OneForOne, "+b"},
		{supervise.OneForAll, "-c -a +a +b +c"},
		{supervise.RestForOne, "-c +b +c"},
	} {
		t.Run(c.strategy.String(), func(t *testing.T) {
			inYard(t, func(y *yard) {
				y.serve("a", "b", "c", "other")
				y.declare(sups{"s": sup(c.strategy, 3, "a", "b", "c")}, nil)
				y.wrote("")
				y.die("b", "signal: killed")
				y.wrote(c.want)
				y.states("a:running b:running c:running other:running")
			})
		})
	}
}

func TestSiblingThatIsStoppedSaysWhy(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a", "b")
		y.declare(sups{"s": sup(supervise.OneForAll, 3, "a", "b")}, nil)
		y.slow["a"] = time.Minute
		y.die("a", "signal: killed")
		y.states("a:restarting b:restarting")
		if got := y.service("b").view().Reason; got != "a failed: signal: killed" {
			t.Errorf("reason %q", got)
		}
		time.Sleep(2 * time.Minute)
		y.states("a:running b:running")
		y.noted("crashed a", "stopped b", "restarted a", "restarted b")
	})
}

func TestEscalation(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a", "b", "c", "d")
		y.declare(sups{
			"low":  sup(supervise.OneForOne, 1, "b", "c"),
			"high": sup(supervise.RestForOne, 1, "a", "low"),
		}, nil)
		y.wrote("")
		y.die("c", "signal: killed")
		y.wrote("+c")
		y.die("c", "signal: killed") // low gives up, and high starts it again
		y.wrote("-b +b +c")
		y.die("a", "signal: killed") // the second time for high: everything under it ends, in reverse order
		y.wrote("-c -b")
		y.states("a:failed b:failed c:failed d:running")
		if got := y.service("b").view().Reason; got != "supervisor high has failed: 1 restart within 5s did not help: a: signal: killed" {
			t.Errorf("reason %q", got)
		}
		time.Sleep(failedRest + time.Second)
		y.wrote("+a +b +c")
		y.states("a:running b:running c:running d:running")
	})
}

// Start order is the order of children; a stop goes the other way, through all supervisors.
func TestShutdownIsTheReverseOfTheStart(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a", "b", "c", "d", "e")
		y.declare(sups{
			"x": sup(supervise.OneForOne, 1, "d", "y", "a"),
			"y": sup(supervise.OneForOne, 1, "c", "b"),
		}, nil)
		if err := y.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		y.wrote("-a -b -c -d -e")
	})
}

// As after theseusd --stop, or a SIGTERM in the course of the boot: nothing was arranged when the stop comes.
func TestShutdownGoesByATreeThatWasJustDeclared(t *testing.T) {
	inYard(t, func(y *yard) {
		for _, name := range []string{"a", "b", "c"} {
			y.Give(name, y.launch(name))
		}
		y.clear()
		y.Supervise(release.Supervision{Supervisors: sups{"s": sup(supervise.OneForOne, 1, "c", "a")}}, []string{"b", "c", "a"})
		if err := y.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		y.wrote("-a -c -b")
	})
}

func TestShutdownDoesNotWaitForASupervisorAtWork(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a", "b")
		y.slow["a"] = time.Hour
		y.die("a", "signal: killed")
		y.Supervise(release.Supervision{Supervisors: sups{"s": sup(supervise.OneForOne, 1, "a", "b")}}, nil)
		began := time.Now()
		if err := y.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > arrangePatience {
			t.Errorf("it took %s", took)
		}
	})
}

func TestShutdownOfNothing(t *testing.T) {
	inYard(t, func(y *yard) {
		began := time.Now()
		if err := y.Shutdown(context.Background()); err != nil || time.Since(began) > 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

func TestShutdownTimes(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a", "b", "c")
		y.declare(nil, map[string]release.Member{"a": {Shutdown: release.Shutdown(3 * time.Second)}, "c": {Shutdown: release.Shutdown(supervise.BrutalKill)}})
		y.deaf["a"], y.deaf["b"], y.deaf["c"] = true, true, true
		began := time.Now()
		if err := y.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 3*time.Second+release.DefaultShutdown {
			t.Errorf("it took %s", took)
		}
		y.wrote("-c -b -a")
		y.noted() // that was no crash, also of the one that was killed
	})
}

// A service that is killed for the sake of another one has not crashed, and says for whose.
func TestBrutalKillIsToldAsAStop(t *testing.T) {
	for _, c := range []struct {
		restart supervise.Restart
		want    string
		states  string
		events  []string
	}{
		{supervise.Permanent, "-b +a +b", "a:running b:running", []string{"crashed a", "stopped b", "restarted a", "restarted b"}},
		{supervise.Temporary, "-b +a", "a:running b:ended", []string{"crashed a", "stopped b", "restarted a"}},
	} {
		t.Run(c.restart.String(), func(t *testing.T) {
			inYard(t, func(y *yard) {
				y.serve("a", "b")
				y.declare(sups{"s": sup(supervise.OneForAll, 3, "a", "b")}, map[string]release.Member{"b": {
					Restart: c.restart, Shutdown: release.Shutdown(supervise.BrutalKill),
				}})
				y.deaf["b"] = true
				y.die("a", "signal: killed")
				y.wrote(c.want)
				y.states(c.states)
				y.noted(c.events...)
			})
		})
	}
}

// A kill that comes when its child has ended already does not meet the process that runs since.
func TestLateKillHitsNobodyElse(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a")
		late := y.service("a").child
		y.die("a", "signal: killed")
		y.wrote("+a")
		late.Kill()
		y.wrote("")
		y.states("a:running")
	})
}

func TestShutdownEndsWithItsContext(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a")
		y.declare(nil, map[string]release.Member{"a": {Shutdown: release.Shutdown(supervise.Infinity)}})
		y.deaf["a"] = true
		began := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
		defer cancel()
		if err := y.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 25*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

func TestCloseLeavesEverythingRunning(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a", "b")
		y.declare(sups{"s": sup(supervise.OneForAll, 1, "a", "b")}, nil)
		y.Close()
		time.Sleep(time.Hour)
		y.wrote("")
		if isDone(y.hull("a")) || isDone(y.hull("b")) {
			t.Error("a process was ended")
		}
	})
}

func TestTransientAndTemporary(t *testing.T) {
	members := map[string]release.Member{"b": {Restart: supervise.Transient}, "c": {Restart: supervise.Temporary}}
	inYard(t, func(y *yard) {
		y.serve("a", "b", "c")
		y.declare(sups{"s": sup(supervise.OneForOne, 3, "a", "b", "c")}, members)
		y.die("b", "exit status 3")
		y.wrote("+b")
		y.die("b", "exit status 0")
		y.die("c", "signal: killed")
		y.wrote("")
		y.states("a:running b:ended c:ended")
		y.Take("b")
		y.Take("c")
		y.serve("b", "c") // an upgrade has started them again
		y.states("a:running b:running c:running")
		y.die("b", "signal: killed")
		y.wrote("+b")
		y.die("c", "exit status 0")
		y.wrote("")
		y.states("a:running b:running c:ended")
	})
}

func TestUpgradeKeepsItsServices(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a", "b", "c")
		y.declare(sups{"s": sup(supervise.OneForAll, 3, "a", "b", "c")}, nil)
		y.Take("b")
		y.die("b", "signal: killed") // it belongs to whoever took it
		y.wrote("")
		y.die("a", "signal: killed") // and so it is not started with the others
		y.wrote("-c +a +c")
		young := y.launch("b")
		y.Give("b", young)
		y.wrote("+b")
		y.die("b", "signal: killed")
		y.wrote("-c -a +a +b +c")
		y.states("a:running b:running c:running")
	})
}

// A service that comes back dead from an upgrade whose group has just restarted does not pull the others down again.
func TestDeadServiceIsGivenWhileItsGroupRestarts(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a", "b")
		y.declare(sups{"s": sup(supervise.OneForAll, 1, "a", "b")}, nil)
		y.Take("b")
		y.die("b", "signal: killed")
		dead := y.hull("b")
		y.slow["a"] = time.Minute
		y.die("a", "signal: killed")
		y.Give("b", dead)
		time.Sleep(2 * time.Minute)
		y.wrote("+a +b")
		y.states("a:running b:running")
	})
}

func TestTreeChangesWithoutARestart(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a", "b", "c", "d")
		first := y.live["a"]
		for _, c := range []struct {
			tree sups
			want string // when a dies
		}{
			{nil, "+a"},
			{sups{"s": sup(supervise.OneForAll, 9, "a", "b")}, "-b +a +b"},
			{sups{"s": sup(supervise.OneForAll, 9, "c", "a")}, "-c +c +a"},
			{sups{"s": sup(supervise.OneForOne, 9, "c", "a")}, "+a"},
			{sups{"t": sup(supervise.RestForOne, 9, "a", "s"), "s": sup(supervise.OneForOne, 9, "c", "b")}, "-b -c +a +c +b"},
			{sups{"u": sup(supervise.OneForOne, 9, "t"), "t": sup(supervise.OneForAll, 9, "d", "a", "s"), "s": sup(supervise.OneForOne, 9, "c", "b")}, "-b -c -d +d +a +c +b"},
			{sups{"s": sup(supervise.RestForOne, 9, "a", "d")}, "-d +a +d"},
			{nil, "+a"},
		} {
			y.declare(c.tree, nil)
			y.wrote("")
			if y.hull("a") != first {
				t.Fatal("it was restarted")
			}
			y.states("a:running b:running c:running d:running")
			y.die("a", "signal: killed")
			y.wrote(c.want)
			first = y.hull("a")
			time.Sleep(time.Minute)
		}
	})
}

// What dies in the very moment of a move is restarted where it has come to.
func TestDeathDuringAMove(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a", "b")
		y.tree.move(context.Background(), y.tree.group("a").sup, "a", "a")
		y.hull("a").end("signal: killed")
		synctest.Wait()
		y.wrote("")
		y.declare(sups{"s": sup(supervise.OneForAll, 3, "a", "b")}, nil)
		y.wrote("-b +a +b")
		y.states("a:running b:running")
	})
}

// A service that takes long to start holds up nobody who stands beside it under the root.
func TestSlowStartHoldsUpNobodyUnderTheRoot(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a", "b")
		y.slow["a"] = time.Minute
		y.die("a", "signal: killed")
		y.die("b", "signal: killed")
		y.wrote("+b")
		time.Sleep(2 * time.Minute)
		y.wrote("+a")
	})
}

// What comes while somebody takes long to start is supervised from the first moment on.
func TestSlowStartHoldsUpNobodyWhoComesMeanwhile(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a")
		y.slow["a"] = time.Minute
		y.die("a", "signal: killed")
		y.serve("z")
		y.die("z", "signal: killed")
		time.Sleep(time.Second)
		y.wrote("+z")
		time.Sleep(2 * time.Minute)
		y.wrote("+a")
	})
}

// A change of the tree that a supervisor at work has to let somebody go for waits for that, and nobody waits for it.
func TestTreeThatCannotChangeYetHoldsUpNobody(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a", "b")
		y.slow["a"] = time.Minute
		y.die("a", "signal: killed")
		y.declare(sups{"s": sup(supervise.OneForAll, 3, "a", "b", "z")}, nil)
		y.serve("z")
		time.Sleep(time.Second)
		for _, name := range []string{"b", "z"} { // each still by itself
			y.die(name, "signal: killed")
			time.Sleep(time.Second)
			y.wrote("+" + name)
		}
		if n := y.Tree(); len(n.Pending) == 0 || len(n.Children) != 3 {
			t.Errorf("pending %q, %d children", n.Pending, len(n.Children))
		}
		time.Sleep(time.Minute)
		y.wrote("+a")
		if n := y.Tree(); len(n.Pending) > 0 || len(n.Children) != 1 {
			t.Errorf("pending %q, %d children", n.Pending, len(n.Children))
		}
		y.set(func() { y.slow["a"] = 0 })
		y.die("b", "signal: killed")
		y.wrote("-z -a +a +b +z")
	})
}

// A supervisor that begins again with a service that is dead takes as long as that does.
func TestSlowStartOfANestedSupervisorHoldsUpNobody(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a", "b", "c")
		low := sup(supervise.OneForAll, 0, "c")
		low.Restart = supervise.Temporary
		y.declare(sups{"high": sup(supervise.OneForOne, 1, "b", "low"), "low": low}, nil)
		y.die("c", "signal: killed")
		y.states("a:running b:running c:failed")
		y.slow["c"] = time.Minute
		y.Take("c")
		y.Give("c", upgrades.Gone(y.pkg("c")))
		synctest.Wait()
		y.serve("z")
		y.die("z", "signal: killed")
		time.Sleep(time.Second)
		y.wrote("+z")
		time.Sleep(time.Minute)
		y.wrote("+c")
		y.states("a:running b:running c:running z:running")
	})
}

// A supervisor ends with its significant children, in order, and by its restart type it stays so.
func TestAutoShutdown(t *testing.T) {
	significant := release.Member{Restart: supervise.Transient, Significant: true}
	for _, c := range []struct {
		auto    supervise.AutoShutdown
		restart supervise.Restart
		ends    []string
		want    string
		states  string
		events  []string
	}{
		{supervise.AnySignificant, supervise.Transient, []string{"b"}, "-c -a", "a:ended b:ended c:ended d:running", []string{"crashed b", "stopped c", "stopped a", "stopped supervisor s"}},
		{supervise.AllSignificant, supervise.Transient, []string{"b"}, "", "a:running b:ended c:running d:running", []string{"crashed b"}},
		{supervise.AllSignificant, supervise.Temporary, []string{"b", "c"}, "-a", "a:ended b:ended c:ended d:running", []string{"crashed b", "crashed c", "stopped a", "stopped supervisor s"}},
		{supervise.AnySignificant, supervise.Permanent, []string{"b"}, "-c -a +a +b +c", "a:running b:running c:running d:running", nil},
	} {
		t.Run(fmt.Sprint(c.auto, " ", c.restart), func(t *testing.T) {
			inYard(t, func(y *yard) {
				y.serve("a", "b", "c", "d")
				s := sup(supervise.OneForOne, 1, "a", "b", "c")
				s.AutoShutdown, s.Restart = c.auto, c.restart
				y.declare(sups{"s": s}, map[string]release.Member{"b": significant, "c": significant})
				for _, name := range c.ends {
					y.die(name, "exit status 0")
				}
				if c.events != nil {
					y.noted(c.events...)
				}
				time.Sleep(2 * failedRest)
				y.wrote(c.want)
				y.states(c.states)
				if got := y.service("a").view().Reason; c.events != nil && len(c.ends) > 0 && c.want != "" &&
					got != fmt.Sprintf("supervisor s has ended: its significant child %s: exit status 0", c.ends[len(c.ends)-1]) {
					t.Errorf("reason %q", got)
				}
			})
		})
	}
}

// A name that was a service and becomes a supervisor, or the other way round, leaves nobody unsupervised.
func TestNameThatChangesItsKind(t *testing.T) {
	for _, c := range []struct {
		name   string
		kinds  [2]sups
		when   string // in the first tree, b dies
		change string // and in the second
	}{
		{"right under the root", [2]sups{nil, {"a": sup(supervise.OneForAll, 9, "b", "c")}}, "+b", "-c +b +c"},
		{"and back", [2]sups{{"a": sup(supervise.OneForAll, 9, "b", "c")}, nil}, "-c +b +c", "+b"},
		{
			"under another one",
			[2]sups{{"x": sup(supervise.OneForOne, 9, "a", "b")}, {"x": sup(supervise.OneForOne, 9, "a"), "a": sup(supervise.OneForAll, 9, "b", "c")}},
			"+b", "-c +b +c",
		},
		{
			"and back there",
			[2]sups{{"x": sup(supervise.OneForOne, 9, "a"), "a": sup(supervise.OneForAll, 9, "b", "c")}, {"x": sup(supervise.OneForOne, 9, "a", "b")}},
			"-c +b +c", "+b",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			inYard(t, func(y *yard) {
				y.serve("b", "c")
				isService := func(tree sups) bool { _, declared := tree["a"]; return !declared }
				for i, want := range []string{c.when, c.change} {
					if tree := c.kinds[i]; isService(tree) {
						y.declare(tree, nil)
						y.serve("a")
					} else {
						y.declare(tree, nil)
						if y.hull("a") != nil {
							y.Take("a") // the release has it no more
							y.hull("a").end("exit status 0")
							y.Give("a", nil)
						}
					}
					y.clear()
					y.die("b", "signal: killed")
					y.wrote(want)
					time.Sleep(time.Minute)
					if isService(c.kinds[i]) {
						y.die("a", "signal: killed")
						y.wrote("+a")
					}
				}
			})
		})
	}
}
