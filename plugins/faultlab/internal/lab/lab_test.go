package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/theseusd/theseus/sdk/supervise"
)

// TestMain makes the test program a worker when the lab starts it as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == WorkArg {
		os.Exit(Work(os.Args[2:]))
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // a worker that is built with the race detector would take a second to end
	os.Exit(m.Run())
}

// The stories that the strategies tell, by what is done to the second of three workers.
var (
	alone = []string{"worker B %s -> restarted%s", "worker A unaffected", "worker C unaffected"}
	after = []string{"worker B %s -> restarted%s, with C", "worker A unaffected"}
	all   = []string{"worker B %s -> all workers restarted%s"}
)

var byStrategy = map[supervise.Strategy][]string{
	supervise.OneForOne: alone, supervise.OneForAll: all, supervise.RestForOne: after, supervise.Dynamic: alone,
}

var byFault = map[Fault]struct{ how, restarted string }{
	Panic:      {how: "crashed"},
	Exit:       {how: "exited"},
	Kill9:      {how: "was killed"},
	Hang:       {how: "hung, was killed after 100ms"},
	Leak:       {how: "leaked 64 goroutines, was killed"},
	SlowStart:  {"crashed", " after a slow start of 200ms"},
	StartError: {"crashed", " after 2 starts that failed"},
}

// remaining is the last line, where something cannot be ended or could.
var remaining = map[Level]map[Fault]string{
	Process: {
		Hang: "1 handler that hung: Go cannot end it, orphaned until the lab let go",
		Leak: "64 goroutines leaked: they outlived their workers until the lab let go",
	},
	Goroutine: {
		Hang: "1 goroutine that hung: Go cannot end it, orphaned until the lab let go",
		Leak: "64 goroutines leaked: they outlived their workers until the lab let go",
	},
	Plugin: {
		Hang: "nothing is left: the kernel ends a process and takes back all it had",
		Leak: "nothing is left: the kernel ends a process and takes back all it had",
	},
}

func expected(s supervise.Strategy, f Fault, l Level) string {
	lines := append([]string{}, byStrategy[s]...)
	lines[0] = fmt.Sprintf(lines[0], byFault[f].how, byFault[f].restarted)
	if s == supervise.RestForOne && byFault[f].restarted != "" {
		lines[0] = fmt.Sprintf("worker B %s -> restarted%s, with C", byFault[f].how, byFault[f].restarted)
	}
	if last := remaining[l][f]; last != "" {
		lines = append(lines, last)
	}
	return strings.Join(lines, "\n")
}

func tell(t *testing.T, p Plan) Trial {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	trials, err := Run(t.Context(), p, self, Watcher{Line: func(line string) { told = append(told, line) }})
	if err != nil {
		t.Fatal(err)
	}
	if got, kept := strings.Join(told, "\n"), strings.Join(trials[0].Story, "\n"); got != kept {
		t.Errorf("told:\n%s\nkept:\n%s", got, kept)
	}
	return trials[0]
}

// eachStory runs every fault of a level under every strategy.
func eachStory(t *testing.T, l Level, run func(t *testing.T, f func(t *testing.T))) {
	for s := supervise.OneForOne; s <= supervise.Dynamic; s++ {
		for _, f := range l.possible() {
			t.Run(fmt.Sprintf("%s/%s", s, f), func(t *testing.T) {
				run(t, func(t *testing.T) {
					p := Plan{Strategy: s, Fault: f, Level: l, Workers: 3, Victim: "B", Intensity: 3}
					trial := tell(t, p)
					if got, want := strings.Join(trial.Story, "\n"), expected(s, f, l); got != want {
						t.Errorf("the story:\n%s\nwant:\n%s", got, want)
					}
					check(t, p, trial)
				})
			})
		}
	}
}

// check compares the numbers of one crash with what its fault means.
func check(t *testing.T, p Plan, trial Trial) {
	t.Helper()
	least := map[Fault]time.Duration{Hang: Patience, SlowStart: SlowFor}[p.Fault].Seconds()
	if r := trial.Recovery; r.Count != 1 || r.P50 < least || r.P50 != r.Max || r.Max > least+5 {
		t.Errorf("recovery: %+v, want at least %v", r, least)
	}
	if p.Level != Plugin && trial.Recovery.Max != least {
		t.Errorf("recovery: %+v, want %v of virtual time", trial.Recovery, least)
	}
	if want := p.Fault.restarts(); trial.Counted != want || trial.InWindow != want {
		t.Errorf("counted %d, %d within the period, want %d", trial.Counted, trial.InWindow, want)
	}
	if trial.Escalated != 0 || trial.Crashes != 1 || len(trial.Lanes) != 3 || trial.Others != 0 {
		t.Errorf("%+v", trial)
	}
}

func TestStoriesOfProcesses(t *testing.T)  { eachStory(t, Process, synctest.Test) }
func TestStoriesOfGoroutines(t *testing.T) { eachStory(t, Goroutine, synctest.Test) }
func TestStoriesOfPrograms(t *testing.T) {
	eachStory(t, Plugin, func(t *testing.T, f func(t *testing.T)) {
		if testing.Short() && !strings.Contains(t.Name(), "rest_for_one") {
			t.Skip("in short, one strategy has to do")
		}
		f(t)
	})
}

func TestTheTextbookCases(t *testing.T) {
	for s, want := range map[supervise.Strategy]string{
		supervise.OneForOne:  "worker A crashed -> restarted\nworker B unaffected",
		supervise.OneForAll:  "worker A crashed -> all workers restarted",
		supervise.RestForOne: "worker B crashed -> restarted, with C\nworker A unaffected",
		supervise.Dynamic:    "worker A crashed -> restarted\nworker B unaffected",
	} {
		synctest.Test(t, func(t *testing.T) {
			if got := strings.Join(tell(t, Plan{Strategy: s}).Story, "\n"); got != want {
				t.Errorf("%s:\n%s\nwant:\n%s", s, got, want)
			}
		})
	}
}

func TestEscalation(t *testing.T) {
	for _, l := range []Level{Process, Goroutine} {
		for s := supervise.OneForOne; s <= supervise.Dynamic; s++ {
			synctest.Test(t, func(t *testing.T) {
				trial := tell(t, Plan{Strategy: s, Level: l, Intensity: 2, Period: 3 * time.Second, Escalate: true, Victim: "A"})
				first, last := trial.Story[0], trial.Story[len(trial.Story)-2]
				if !strings.HasSuffix(first, " (restart 1 of 2 in 3s)") ||
					last != "worker A crashed -> supervisor gave up: more than 2 restarts within 3s" ||
					trial.Story[len(trial.Story)-1] != "escalation after 3 crashes: all workers stopped, the parent of the supervisor decides" {
					t.Errorf("%s %s:\n%s", l, s, strings.Join(trial.Story, "\n"))
				}
				if trial.Escalated != 0.03 || trial.Crashes != 3 || trial.Counted != 3 || trial.InWindow != 3 || trial.Recovery.Count != 2 {
					t.Errorf("%s %s: %+v", l, s, trial)
				}
			})
		}
	}
}

func TestASlowFaultDoesNotEscalate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trial := tell(t, Plan{Fault: Hang, Intensity: 30, Period: time.Second, Escalate: true})
		want := "worker A hung, was killed after 100ms -> restarted, 31 times\n" +
			"no escalation after 31 crashes: at most 18 restarts within 1s, 30 allowed\nworker B unaffected\n" +
			"31 handlers that hung: Go cannot end them, orphaned until the lab let go"
		if got := strings.Join(trial.Story, "\n"); got != want || trial.Escalated != 0 || trial.InWindow != 18 {
			t.Errorf("the story:\n%s\n%+v", got, trial.InWindow)
		}
	})
}

func TestAStartThatFailsTooOftenEscalates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trial := tell(t, Plan{Fault: StartError})
		want := "worker A crashed -> supervisor gave up: more than 1 restart within 5s\n" +
			"escalation after 1 crash: all workers stopped, the parent of the supervisor decides"
		if got := strings.Join(trial.Story, "\n"); got != want {
			t.Errorf("the story:\n%s\nwant:\n%s", got, want)
		}
	})
}

// story is all that a plan tells under every strategy.
func storyOf(t *testing.T, p Plan) string {
	t.Helper()
	trials, err := Run(t.Context(), p, "", Watcher{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, trial := range trials {
		fmt.Fprintln(&b, trial.Strategy, strings.Join(trial.Story, "\n"))
	}
	return b.String()
}

func TestTheSameSeedTellsTheSameStory(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(8) {
		for _, l := range []Level{Process, Goroutine} {
			synctest.Test(t, func(t *testing.T) {
				p := Plan{Compare: true, Level: l, Workers: 6, Crashes: 7, Seed: seed + 1}
				once, twice := storyOf(t, p), storyOf(t, p)
				if once != twice {
					t.Errorf("seed %d:\n%s\nthen:\n%s", p.Seed, once, twice)
				}
				seen[once] = true
			})
		}
	}
	if len(seen) < 6 {
		t.Errorf("8 seeds tell %d stories", len(seen))
	}
}

func TestManyCrashesAreSummedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trial := tell(t, Plan{Crashes: 300, Workers: 1000})
		want := "worker A crashed -> restarted, 300 times\n999 other workers unaffected"
		if got := strings.Join(trial.Story, "\n"); got != want {
			t.Errorf("the story:\n%s", got)
		}
		if len(trial.Lanes) != MaxLanes || trial.Others != 1000-MaxLanes || len(trial.Lanes[0].Events) != MaxEvents {
			t.Errorf("%d lanes, %d others, %d events", len(trial.Lanes), trial.Others, len(trial.Lanes[0].Events))
		}
	})
}

func TestProgramsLeaveNoDescriptors(t *testing.T) {
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	tell(t, Plan{Level: Plugin})
	before := open()
	tell(t, Plan{Level: Plugin, Fault: StartError, Crashes: 5, Strategy: supervise.OneForAll})
	if after := open(); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func TestAStoryHasAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trial := tell(t, Plan{Crashes: 300, Workers: 10_000, Seed: 1})
		if n := len(trial.Story); n != maxLines+2 || !strings.HasPrefix(trial.Story[maxLines], "and so on, ") {
			t.Errorf("%d lines: %q", n, trial.Story[min(maxLines, n-1)])
		}
	})
}

func TestARunThatIsGivenUpLeavesNothing(t *testing.T) {
	for _, l := range []Level{Process, Goroutine, Plugin} {
		t.Run(string(l), func(t *testing.T) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			enough := errors.New("enough")
			p := Plan{Level: l, Fault: Hang, Crashes: 100}
			trials, err := Run(ctx, p, self, Watcher{Progress: func(string) { cancel(enough) }})
			if !errors.Is(err, enough) || len(trials) != 1 || trials[0].Broken == "" || trials[0].Crashes != 1 {
				t.Errorf("%v: %+v", err, trials)
			}
		})
	}
}

func TestNoRestartsAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trial := tell(t, Plan{Strategy: supervise.OneForAll, Intensity: supervise.NoRestarts, Escalate: true})
		want := "worker A crashed -> supervisor gave up: more than 0 restarts within 5s\n" +
			"escalation after 1 crash: all workers stopped, the parent of the supervisor decides"
		if got := strings.Join(trial.Story, "\n"); got != want {
			t.Errorf("the story:\n%s", got)
		}
	})
}
