package main

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/theseusd/theseus/plugins/faultlab/internal/lab"
	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/sdktest"
)

// TestMain makes the test program a worker when the lab starts it as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == lab.WorkArg {
		os.Exit(lab.Work(os.Args[2:]))
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // a worker that is built with the race detector would take a second to end
	os.Exit(m.Run())
}

func start(t *testing.T, dir string) *sdktest.Instance {
	return sdktest.Start(t, sdk.Service{Name: "faultlab", Version: version, Setup: setup}, sdktest.Options{StateDir: dir})
}

func TestTheTwoRunsOfTheBook(t *testing.T) {
	i := start(t, "")
	for strategy, want := range map[string]string{
		"one_for_one": "worker A crashed -> restarted\nworker B unaffected",
		"one_for_all": "worker A crashed -> all workers restarted",
	} {
		for _, level := range []string{"process", "goroutine", "plugin"} {
			if got := i.Verb("run", "--strategy", strategy, "--level", level); got != want {
				t.Errorf("%s %s: %q", strategy, level, got)
			}
		}
	}
}

func TestWhatIsWrongIsSaidBeforeAnythingStarts(t *testing.T) {
	i := start(t, "")
	for args, want := range map[string]string{
		"--strategy one_for_none":          "--strategy one_for_none: want one of one_for_one, one_for_all, rest_for_one, dynamic",
		"--fault fire":                     "--fault fire: want one of panic, exit, kill9, hang, leak, slow-start, start-error",
		"--level galaxy":                   "--level galaxy: want one of process, goroutine, plugin",
		"--fault kill9":                    "fault kill9 needs a process of the operating system, level plugin; level process can have panic,",
		"--fault kill9 --level goroutine":  "level goroutine can have panic, exit, hang, leak, slow-start, start-error",
		"--workers 0":                      "--workers 0: want a whole number, at least 1",
		"--workers some":                   "--workers some: want a whole number",
		"--workers 1000000 --level plugin": "1000000 workers: level plugin has 1 to 64, each a process of the operating system",
		"--names A,A":                      "worker name A is there twice",
		"--names A,B --workers 3":          "2 names for 3 workers",
		"--victim Z":                       "no worker is called Z",
		"--intensity -1":                   "--intensity -1: want a whole number, at least 0",
		"--crashes 0":                      "--crashes 0: want a whole number, at least 1",
		"--period 5":                       "--period 5: want a duration such as 5s",
		"--period -5s":                     "--period -5s: want a duration",
		"--period 1500ms":                  "a period of 1.5s: want whole seconds",
		"--seed -1":                        "--seed -1: want a whole number",
		"--speed 9":                        "unknown flag --speed: there are --strategy",
		"now":                              "run takes no arguments, not 1",
		"--strategy one_for_one --strategy dynamic": "--strategy is there twice",
	} {
		err := i.VerbError("run", strings.Fields(args)...)
		var usage *sdk.UsageError
		if !errors.As(err, &usage) || !strings.Contains(usage.Text, want) {
			t.Errorf("%s: got %v, want %s", args, err, want)
		}
	}
	if got := i.VerbError("history"); !errors.Is(got, errNoRuns) {
		t.Errorf("something began: %v", got)
	}
	if err := i.VerbError("show", "one"); !errors.Is(err, errNoRuns) {
		t.Errorf("%v", err)
	}
}

func TestRunsAreKept(t *testing.T) {
	dir := t.TempDir()
	i := start(t, dir)
	story := i.Verb("run", "--fault", "hang")
	all := i.Verb("run", "--intensity", "2", "--json")
	var r Run
	if err := json.Unmarshal([]byte(all), &r); err != nil || r.Number != 2 || !r.Escalate || r.Trials[0].Escalated == 0 || r.Trials[0].Crashes != 3 {
		t.Errorf("%v %+v", err, r)
	}
	i.Stop()
	i = start(t, dir)
	if got := i.Verb("show", "1"); got != story {
		t.Errorf("got %q, want %q", got, story)
	}
	if got := i.Verb("show", "--json"); got != all {
		t.Errorf("got %s, want %s", got, all)
	}
	lines := strings.Split(i.Verb("history"), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "RUN") || !strings.Contains(lines[1], "recovered") || !strings.Contains(lines[2], "gave up") {
		t.Errorf("%q", lines)
	}
	if got := i.Verb("history", "--last", "1", "--json"); strings.Contains(got, `"run": 1`) || !strings.Contains(got, `"run": 2`) {
		t.Errorf("%s", got)
	}
	if err := i.VerbError("show", "7"); err == nil || err.Error() != "there is no run 7: there are 1 to 2" {
		t.Errorf("%v", err)
	}
}

func TestTheOldestRunsMakeRoom(t *testing.T) {
	i := start(t, "")
	for range kept + 2 {
		i.Verb("run", "--workers", "1")
	}
	if lines := strings.Split(i.Verb("history"), "\n"); len(lines) != 1+kept || !strings.HasPrefix(lines[1], "3 ") {
		t.Errorf("%d lines, %q", len(lines), lines[1])
	}
}

func TestColours(t *testing.T) {
	for line, want := range map[string]string{
		"worker A crashed -> restarted":          "worker A crashed -> \x1b[32mrestarted\x1b[0m",
		"worker A crashed -> supervisor gave up": "worker A crashed -> \x1b[31msupervisor gave up\x1b[0m",
		"worker B unaffected":                    "\x1b[2mworker B unaffected\x1b[0m",
	} {
		if got := paint(true, line); got != want {
			t.Errorf("%q", got)
		}
		if got := paint(false, line); got != line {
			t.Errorf("%q", got)
		}
	}
}
