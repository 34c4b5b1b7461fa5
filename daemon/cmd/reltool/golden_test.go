package main

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades"
)

var update = flag.Bool("update", false, "write the golden files anew")

// noon is the time of every golden text.
var noon = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

func TestMain(m *testing.M) {
	time.Local = time.UTC
	now = func() time.Time { return noon }
	os.Exit(m.Run())
}

// golden compares with testdata/NAME.txt.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not as it was; see `go test -update`\n--- got\n%s\n--- want\n%s", file, got, want)
	}
}

// drawing is a tool whose answers can be read.
func drawing(s screen) (*tool, *strings.Builder) {
	var b strings.Builder
	s.Writer = &b
	if s.width == 0 {
		s.width = 80
	}
	return &tool{out: s, err: &b, started: true}, &b
}

var plan = control.Plan{
	From: "v1", To: "v2", Path: []string{"v1", "v2"}, Digest: "d", Rows: 1_000_000, Estimate: 2.04, Probation: 10,
	Steps: []control.PlanStep{
		{Name: "verify", Text: "check packages, schemas and requirements of v2"},
		{Service: "visits", Name: "start", Text: "start visits 2.0.0 as a standby beside 1.0.0; it reads the state log"},
		{Service: "visits", Name: "rehearse", Text: "take 1,000,000 rows there and back, and compare: visits 1 -> 2"},
		{Service: "visits", Name: "follow", Text: "connections travel ahead"},
		{Service: "visits", Name: "switch", Text: "visits 1.0.0 lets go, 2.0.0 serves", Commit: true},
		{Name: "probation", Text: "10s: v2 serves and is watched"},
		{Name: "make_permanent", Text: "v2 is permanent, visits 1.0.0 ends"},
	},
}

func TestPlanIsShown(t *testing.T) {
	for name, change := range map[string]func(*control.Plan, *screen){
		"plan":              func(*control.Plan, *screen) {},
		"plan-colour":       func(_ *control.Plan, s *screen) { s.colour = true },
		"plan-irreversible": func(p *control.Plan, _ *screen) { p.NoReturn, p.Probation, p.Rows, p.Estimate = true, 0, 0, 0 },
		"plan-no-way-back": func(p *control.Plan, _ *screen) {
			p.Warnings = []string{"after the probation there is no way back: visits: no way down from 2.0.0 to 1.0.0"}
		},
		"plan-hold":         func(p *control.Plan, _ *screen) { p.Hold, p.Probation = true, 0 },
		"plan-no-probation": func(p *control.Plan, _ *screen) { p.NoProbation, p.Probation = true, 0 },
		"plan-path": func(p *control.Plan, _ *screen) {
			p.Paths = map[string][]string{"visits": {"1.0.0", "1.1.0", "2.0.0"}, "cache": {"1.0.0", "1.1.0"}}
		},
		"plan-one-row": func(p *control.Plan, _ *screen) { p.Rows = 1 },
		"plan-down":    func(p *control.Plan, _ *screen) { p.Down, p.Path = true, []string{"v3", "v2", "v1"} },
	} {
		t.Run(name, func(t *testing.T) {
			p, s := plan, screen{}
			change(&p, &s)
			tool, text := drawing(s)
			if err := tool.showPlan(p, applyWith("")); err != nil {
				t.Fatal(err)
			}
			golden(t, name, text.String())
		})
	}
}

func TestApplyNamesTheReleaseThatWasAsked(t *testing.T) {
	if got := applyWith("v3"); got != "reltool upgrade v3 --apply" {
		t.Errorf("got %q", got)
	}
}

var events = []control.Event{
	{Seq: 3, Kind: "planned", Upgrade: 1, From: "v1", To: "v2", By: "root", Time: noon, Text: "v1 to v2"},
	{Seq: 4, Kind: "verified", Upgrade: 1, Time: noon.Add(4200 * time.Microsecond), Detail: map[string]any{"b": 2, "a": 1}},
	{Kind: "rehearsing", Upgrade: 1, Service: "visits", Done: 250_000, Total: 1_000_000},
	{Kind: "rehearsing", Upgrade: 1, Service: "visits", Done: 1_000_000, Total: 1_000_000},
	{Seq: 5, Kind: "rehearsed", Upgrade: 1, Time: noon.Add(time.Second), Took: 1.04, Text: "visits: 1,000,000 rows there and back"},
	{Seq: 6, Kind: "committed", Upgrade: 1, Time: noon.Add(2 * time.Second), Service: "visits", Text: "visits 1.0.0 -> 2.0.0"},
	{Kind: "serving", Upgrade: 1, Service: "visits", Text: "visits 2.0.0 after a pause of 4.2ms"},
	{Seq: 7, Kind: "probation", Upgrade: 1, Time: noon.Add(2 * time.Second), Took: 0.0042, Text: "0s", Detail: map[string]any{"visits": 0.0042}},
	{Seq: 8, Kind: "rolled_back", Upgrade: 1, Time: noon.Add(12 * time.Second), Reason: "visits 2.0.1-bad is unhealthy", Hint: "see the log"},
	{Kind: "end", Last: true},
}

func TestProgress(t *testing.T) {
	for name, s := range map[string]screen{
		"progress":          {},
		"progress-terminal": {terminal: true, colour: true, width: 60},
	} {
		t.Run(name, func(t *testing.T) {
			tool, text := drawing(s)
			see, finish := tool.viewer()
			for _, e := range events {
				see(e)
			}
			finish()
			golden(t, name, strings.ReplaceAll(text.String(), "\r", "<CR>"))
		})
	}
}

func TestHistory(t *testing.T) {
	tool, text := drawing(screen{})
	tool.showHistory(inBlocks(past()), false)
	golden(t, "history", text.String())
}

// past is a history in which a service and the daemon die while an upgrade is under way.
func past() []control.Event {
	steps := journaled(events)
	steps[0].Parts = []string{"visits"}
	return slices.Concat([]control.Event{
		{Kind: "daemon_started", Time: noon.Add(-2 * time.Hour), Text: "theseusd 0.1.0", Detail: map[string]any{"pid": 7, "keel": 6}},
		{Seq: 1, Kind: "built", To: "v1", By: "root", Time: noon.Add(-time.Hour), Text: "cache 1.0.0, visits 1.0.0"},
		{Seq: 2, Kind: "booted", To: "v1", Time: noon.Add(-time.Hour)},
	}, steps[:2], []control.Event{
		{Kind: "crashed", Service: "cache", Text: "1.0.0", Time: noon.Add(time.Second), Reason: "signal: killed"},
		{Kind: "restarted", Service: "cache", Text: "1.0.0", Time: noon.Add(time.Second), Took: 0.0812},
		{
			Kind: "daemon_started", Time: noon.Add(time.Second), Text: "theseusd 0.1.0", Detail: map[string]any{"pid": 9, "keel": 6},
			Reason: "daemon 7 ended without a stop; services went on",
		},
	}, steps[2:])
}

func TestHistoryOfOneUpgrade(t *testing.T) {
	tool, text := drawing(screen{})
	tool.showHistory(asked{upgrade: 1}.choose(inBlocks(past())), true)
	golden(t, "history-one", text.String())
}

func TestHistoryIsChosen(t *testing.T) {
	for name, tc := range map[string]struct {
		asked asked
		want  string
	}{
		"all":          {asked{}, "daemon_started built booted planned crashed restarted daemon_started"},
		"the last two": {asked{last: 2}, "restarted daemon_started"},
		"one upgrade":  {asked{upgrade: 1}, "planned"},
		"no upgrade":   {asked{upgrade: 2}, ""},
		"a service":    {asked{service: "cache"}, "crashed restarted"},
		"its upgrades": {asked{service: "visits"}, "planned"},
	} {
		t.Run(name, func(t *testing.T) {
			var kinds []string
			for _, b := range tc.asked.choose(inBlocks(past())) {
				kinds = append(kinds, b[0].Kind)
			}
			if got := strings.Join(kinds, " "); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestAnUpgradeThatIsKeptNoLongerIsNotUnknown(t *testing.T) {
	list := []control.Event{{Seq: 40, Kind: upgrades.Dropped, Done: 3, Text: "40 records before this are kept no longer, of 3 upgrades"}}
	for upgrade, want := range map[uint64]string{3: "upgrade 3 is kept no longer", 4: "there is no upgrade 4"} {
		if err := (asked{upgrade: upgrade}).nothing(list); err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if b := (asked{service: "visits"}).choose(inBlocks(list)); len(b) != 1 {
		t.Error("who asks for one service is not told that older lines are gone")
	}
}

func TestLongTextsAreCutInAList(t *testing.T) {
	e := brief(control.Event{Reason: strings.Repeat("é", 400), Text: "one\ntwo"})
	if e.Reason != strings.Repeat("é", maxBrief)+"..." || e.Text != "one..." {
		t.Errorf("got %q, %q", e.Reason, e.Text)
	}
}

func TestHistoryIsFollowed(t *testing.T) {
	tool, text := drawing(screen{})
	f := &follower{tool: tool, asked: asked{service: "visits"}, wanted: map[uint64]bool{}}
	all := past()
	f.past(all[:5])
	for _, e := range all[5:] {
		f.see(e)
	}
	f.see(control.Event{Kind: "crashed", Service: "visits", Text: "1.0.0", Time: noon.Add(time.Minute), Reason: "exit status 2"})
	f.see(control.Event{Kind: "planned", Upgrade: 2, From: "v1", To: "v3", Parts: []string{"cache"}, Time: noon.Add(time.Minute)})
	golden(t, "history-follow", text.String())
}

func TestProbationIsCountedDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tool, text := drawing(screen{terminal: true})
		see, finish := tool.viewer()
		see(control.Event{Seq: 1, Kind: "probation", Text: "again, 10s"})
		time.Sleep(5 * time.Second)
		see(control.Event{Seq: 2, Kind: "permanent"})
		after := text.Len()
		time.Sleep(5 * time.Second)
		if text.Len() != after {
			t.Error("it is still drawn after its end")
		}
		finish()
		if got := text.String(); !strings.Contains(got, " 50%  5/10  s") || !strings.HasSuffix(got, "\x1b[K  permanent\n") {
			t.Errorf("got %q", got)
		}
	})
}

// journaled drops progress, which no history has.
func journaled(list []control.Event) (kept []control.Event) {
	for _, e := range list {
		if e.Seq > 0 {
			kept = append(kept, e)
		}
	}
	return kept
}

func TestReleases(t *testing.T) {
	tool, text := drawing(screen{})
	tool.showReleases([]control.Release{
		{Name: "v1", Status: "old", Services: map[string]string{"visits": "1.0.0", "cache": "1.0.0"}, Built: noon, By: "root"},
		{Name: "v2", Status: "permanent", Services: map[string]string{"visits": "2.0.0", "cache": "1.0.0"}, Built: noon},
	})
	golden(t, "releases", text.String())
}

func TestStatus(t *testing.T) {
	tool, text := drawing(screen{})
	tool.showStatus(control.Status{
		Dir: "/srv/a", Version: "0.1.0", PID: 12, Started: noon.Add(-time.Hour), Release: "v2", State: "current",
		Upgrade: &control.Upgrade{From: "v1", To: "v2", Step: "probation", Until: noon.Add(7 * time.Second), Trials: []control.Trial{
			{
				Service: "visits", Version: "2.0.0", Now: control.Traffic{Requests: 1240, Failures: 3, P99: 0.012},
				Before: control.Traffic{Requests: 3100, P99: 0.0102}, Crashes: 1,
			},
			{Service: "cache", Version: "1.0.0"},
		}},
		Services: []control.ServiceStatus{
			{Name: "cache", Version: "1.0.0", State: "failed", Reason: "crashed 4 times in 5s", Again: noon.Add(11500 * time.Millisecond)},
			{
				Name: "visits", Version: "2.0.0", State: "running", PID: 34, Started: noon.Add(-5 * time.Minute), Restarts: 2,
				Rows: map[string]uint64{"visits": 1_000_000, "other": 1}, LogBytes: 96 << 20, Connections: 64, RSS: 123456789,
				Listeners: map[string]string{"http": "127.0.0.1:8081", "control": "visits.sock"},
				Standbys:  []control.Process{{Version: "1.0.0", PID: 33, Role: "standby", Lag: 2048, RSS: 98 << 20}},
			},
		},
	})
	golden(t, "status", text.String())
}

func TestStatusOfAHeldProbation(t *testing.T) {
	if got := underWay(&control.Upgrade{From: "v1", To: "v2", Step: "probation", Held: true}); got !=
		", upgrade v1 -> v2: probation, held: reltool commit or reltool rollback" {
		t.Error(got)
	}
}

func TestStatusOfAnEmptyInstance(t *testing.T) {
	tool, text := drawing(screen{})
	tool.showStatus(control.Status{Dir: "/srv/a", Version: "0.1.0", PID: 12, Started: noon})
	golden(t, "status-empty", text.String())
}

func TestBuilt(t *testing.T) {
	shapes := "visits 1 -> 2: {user:string,count:int64} -> {user:string,count:int64,last_seen:time}"
	for name, b := range map[string]control.Built{
		"built": {From: "v1", To: "v2", New: true, Changes: []control.Change{
			{Service: "cache", From: "1.0.0", To: "1.10.0", Detail: []string{"no way up from 1.0.0 to 1.10.0"}},
			{Service: "kv", To: "1.0.0"},
			{Service: "old", From: "1.0.0"},
			{Service: "visits", From: "1.0.0", To: "2.0.0", Detail: []string{shapes, "seen 1 is new: {at:time}"}},
		}},
		"built-there":   {From: "v1", To: "v2", Changes: []control.Change{{Service: "kv", From: "1.0.0", To: "2.0.0"}}},
		"built-nothing": {From: "v2", To: "v2"},
		"built-first":   {To: "v1", New: true, Changes: []control.Change{{Service: "kv", To: "1.0.0"}}},
	} {
		t.Run(name, func(t *testing.T) {
			tool, text := drawing(screen{})
			if err := tool.showBuilt(b); err != nil {
				t.Fatal(err)
			}
			golden(t, name, text.String())
		})
	}
}

func TestShorten(t *testing.T) {
	for in, want := range map[string]string{
		"v 1 -> 2: {a:string} -> {a:string,b:int64}":               "v 1 -> 2 (+b)",
		"v 1 -> 2: {a:string,b:int64} -> {a:string}":               "v 1 -> 2 (-b)",
		"v 1 -> 2: {a:int64} -> {a:string}":                        "v 1 -> 2 (+a -a)",
		"v 1 -> 2: {a:{x:int64,y:int64}} -> {a:{x:int64,y:int64}}": "v 1 -> 2",
		"v 1 -> 2: bytes -> {a:string}":                            "v 1 -> 2: bytes -> {a:string}",
		"v 1 is new: {a:string}":                                   "v 1 is new: {a:string}",
		"no way up":                                                "no way up",
		"":                                                         "",
	} {
		if got := shorten(in); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, tc := range [][2]string{
		{seconds(0.00032), "320µs"},
		{seconds(0.0042), "4.2ms"},
		{seconds(0.25), "250ms"},
		{seconds(1.84), "1.8s"},
		{seconds(200), "3m20s"},
		{bytes(512), "512 B"},
		{bytes(1536), "1.5 KiB"},
		{bytes(96 << 20), "96.0 MiB"},
		{count(0), "0"},
		{count(999), "999"},
		{count(1000), "1,000"},
		{count(12345678), "12,345,678"},
		{several(0, "row migrates", "rows migrate"), "0 rows migrate"},
		{several(1, "row migrates", "rows migrate"), "1 row migrates"},
		{several(2000, "crash", "crashes"), "2,000 crashes"},
	} {
		if tc[0] != tc[1] {
			t.Errorf("got %q, want %q", tc[0], tc[1])
		}
	}
}
