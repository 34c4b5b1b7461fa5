package lab

import (
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/supervise"
)

func TestWrongPlansAreRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		plan Plan
		want string
	}{
		{"an unknown fault", Plan{Fault: "fire"}, "unknown fault fire: want one of panic, exit, kill9"},
		{"an unknown level", Plan{Level: "galaxy"}, "unknown level galaxy: want one of process, goroutine, plugin"},
		{"an unknown strategy", Plan{Strategy: 9}, "unknown strategy"},
		{"kill -9 of a process that is data", Plan{Fault: Kill9}, "fault kill9 needs a process of the operating system, level plugin; " +
			"level process can have panic, exit, hang, leak, slow-start, start-error"},
		{"kill -9 of a goroutine", Plan{Fault: Kill9, Level: Goroutine}, "level goroutine can have panic"},
		{"no workers", Plan{Workers: -1}, "-1 workers: level process has 1 to 10000"},
		{"a million processes", Plan{Workers: 1_000_000, Level: Plugin}, "1000000 workers: level plugin has 1 to 64, each a process of the operating system"},
		{"too many processes", Plan{Workers: 10_001}, "10001 workers"},
		{"a name twice", Plan{Names: []string{"A", "B", "A"}}, "worker name A is there twice"},
		{"a name that is none", Plan{Names: []string{"A", "b c"}}, `worker name "b c"`},
		{"too few names", Plan{Names: []string{"A"}, Workers: 2}, "1 names for 2 workers"},
		{"a victim who is not there", Plan{Victim: "Z"}, "no worker is called Z: there are A, B"},
		{"an intensity below zero", Plan{Intensity: -2}, "an intensity of -2"},
		{"an intensity above all crashes", Plan{Intensity: 3001}, "an intensity of 3001: want 0 to 3000 restarts"},
		{"too many crashes", Plan{Crashes: 1_000_000}, "1000000 crashes: want 1 to 1000"},
		{"half a second", Plan{Period: 500 * time.Millisecond}, "a period of 500ms: want whole seconds"},
		{"a broken second", Plan{Period: 1500 * time.Millisecond}, "a period of 1.5s: want whole seconds"},
		{"a day", Plan{Period: 24 * time.Hour}, "a period of 24h0m0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Run(t.Context(), c.plan, "/nowhere", Watcher{Line: func(string) { t.Error("it began") }})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	p := Plan{Strategy: supervise.RestForOne}
	if err := p.Check(); err != nil || p.Workers != 3 || p.Victim != "B" || p.Crashes != 1 || p.Intensity != 1 || p.Period != 5*time.Second {
		t.Errorf("%+v %v", p, err)
	}
	p = Plan{Crashes: 7, Fault: StartError}
	if err := p.Check(); err != nil || p.Intensity != 21 {
		t.Errorf("enough restarts for all: %+v %v", p, err)
	}
	if names := letters(704); names[25] != "Z" || names[26] != "AA" || names[701] != "ZZ" || names[702] != "AAA" {
		t.Errorf("%v", names)
	}
}
