package fault

import (
	"slices"
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk/fault"
)

func role(process string) Role {
	return map[string]Role{"keel": Keel, "daemon": Daemon, "tally-1.0.0": Old, "tally-2.0.0": New}[process]
}

// short is an upgrade, cut to what the rules are about.
const short = `tally-1.0.0 7 state.commit.copied
tally-1.0.0 7 state.commit.copied
daemon 5 record.before/planned
daemon 5 record.after/planned
tally-1.0.0 7 state.commit.copied
daemon 5 host.launched
tally-2.0.0 9 service.opened
daemon 5 call.before/pair
daemon 5 call.before/pair
daemon 5 call.before/pair
daemon 5 record.after/permanent
daemon 5 call.after/stop
daemon 5 call.before/settle
tally-2.0.0 9 state.comm`

func spots(t *testing.T) []Seen {
	t.Helper()
	lines, err := ReadTrace(short)
	if err != nil {
		t.Fatal(err)
	}
	return Spots(lines, role, Old)
}

func TestSpotsAreEachInstantOnceInItsPhase(t *testing.T) {
	var got []string
	for _, s := range spots(t) {
		got = append(got, s.String())
	}
	want := []string{
		"old@state.commit.copied:1", "daemon@record.before/planned:1", "daemon@record.after/planned:1",
		"old@state.commit.copied~planned:1", "daemon@host.launched~planned:1", "new@service.opened~planned:1",
		"daemon@call.before/pair~planned:1", "daemon@call.before/pair~planned:2", "daemon@record.after/permanent~planned:1",
		"daemon@call.after/stop~permanent:1", "daemon@call.before/settle~permanent:1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestOnlyThoseWhoLiveFall(t *testing.T) {
	for _, s := range spots(t) {
		want := []Role{Daemon, Old, New}
		switch {
		case s.Point == "call.before/settle":
			want = []Role{Daemon, New} // the old version has been stopped
		case s.Phase == "" || s.Phase == "planned" && s.Point == "state.commit.copied":
			want = []Role{Daemon, Old}
		}
		if !slices.Equal(s.Alive, want) {
			t.Errorf("at %s live %v, want %v", s, s.Alive, want)
		}
	}
}

func TestMatrixLetsEachFallInEachWayAtEachInstant(t *testing.T) {
	seen := spots(t)[:2]
	var got []string
	for _, c := range Matrix("up", seen) {
		got = append(got, c.String())
	}
	if n := 2 * 3 * 3; len(got) != n {
		t.Errorf("%d cases of 2 instants, 3 victims and 3 ways, want %d", len(got), n)
	}
	for _, want := range []string{"up,old@state.commit.copied:1,all,late", "up,daemon@record.before/planned:1,daemon,kill"} {
		if !slices.Contains(got, want) {
			t.Errorf("there is no %s in %v", want, got)
		}
	}
}

func TestCasesAreTextAndBack(t *testing.T) {
	cases := Matrix("up", spots(t))
	heads := Heads(cases)
	lines, err := ReadTrace(short)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range append(cases, Again(heads[0], lines, role)...) {
		back, err := ParseCase(c.String())
		if err != nil || back.String() != c.String() {
			t.Errorf("%s comes back as %s (%v)", c, back, err)
		}
	}
}

func TestParseCaseRefuses(t *testing.T) {
	for _, text := range []string{
		"", "up", "up,", "up,new@service.armed:1,all", "up,new@service.armed,all,kill", "up,new@service.armed:0,all,kill",
		"up,me@service.armed:1,all,kill", "up,new@service.army:1,all,kill", "up,new@service.armed:1,keel,kill",
		"up,new@service.armed:1,all,hurt", "up,new@service.armed:1,all,kill+new@service.armed:1,all,kill+new@service.armed:1,all,kill",
	} {
		if c, err := ParseCase(text); err == nil {
			t.Errorf("%q is taken for %v", text, c)
		}
	}
}

func TestPlansAreWhatTheServicesRead(t *testing.T) {
	s := Spot{Role: New, Point: "service.armed", Phase: "committed", Nth: 2}
	if got, want := s.Gate("g"), "daemon@record.after/committed=stop#g"; got != want {
		t.Errorf("gate %q, want %q", got, want)
	}
	if got, want := s.Trap("tally-2.0.0", "t"), "tally-2.0.0@service.armed:2=stop#t"; got != want {
		t.Errorf("trap %q, want %q", got, want)
	}
	s.Phase = ""
	if got := s.Gate("g"); got != "" {
		t.Errorf("a spot of no phase has the gate %q", got)
	}
}

func TestFreshIsWhatTheOtherScenarioDidNotGoThrough(t *testing.T) {
	seen := spots(t)
	if list := Fresh(seen, nil); len(list) != len(seen) {
		t.Errorf("without another one %d of %d are fresh", len(list), len(seen))
	}
	var got []string
	for _, s := range Fresh(seen, seen[1:]) {
		got = append(got, s.String())
	}
	want := []string{"old@state.commit.copied:1", "daemon@call.after/stop~permanent:1", "daemon@call.before/settle~permanent:1"}
	if !slices.Equal(got, want) {
		t.Errorf("fresh are %v, want %v: the first, and what comes after the common phases", got, want)
	}
}

// A head is the last instant of a phase at which the daemon, or all, are killed.
func TestHeadsAreOneForEachPhaseAndVictim(t *testing.T) {
	var got []string
	for _, c := range Heads(Matrix("up", spots(t))) {
		got = append(got, c.String())
	}
	want := []string{
		"up,daemon@record.after/planned:1,daemon,kill", "up,daemon@record.after/planned:1,all,kill",
		"up,daemon@record.after/permanent~planned:1,daemon,kill", "up,daemon@record.after/permanent~planned:1,all,kill",
		"up,daemon@call.before/settle~permanent:1,daemon,kill", "up,daemon@call.before/settle~permanent:1,all,kill",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAgainFallsAtEachPointOfTheRecoveryOnce(t *testing.T) {
	head, err := ParseCase("up,daemon@call.after/release~switching:1,daemon,kill")
	if err != nil {
		t.Fatal(err)
	}
	lines, err := ReadTrace("keel 1 keel.spawned\ndaemon 8 daemon.started\ndaemon 8 daemon.attached\ntally-2.0.0 9 service.armed\ndaemon 8 daemon.attached\n")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range Again(head, lines, role) {
		got = append(got, c.Shots[1].String())
	}
	want := []string{
		"daemon@daemon.started:1,daemon,kill", "daemon@daemon.attached:1,daemon,kill", "new@service.armed:1,new,kill",
		"new@service.armed:1,daemon,kill",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestMissingNamesEveryPointThatWasNotReached(t *testing.T) {
	reached := map[fault.Point]bool{}
	for i := range fault.Points {
		reached[fault.Point(i)] = true
	}
	if names := Missing(reached); len(names) > 0 {
		t.Errorf("all are reached, but %v are missing", names)
	}
	delete(reached, fault.Armed)
	if names := Missing(reached); !slices.Equal(names, []string{"service.armed"}) {
		t.Errorf("missing are %v, want service.armed", names)
	}
}

func TestTheSeedDecidesTheSample(t *testing.T) {
	cases := Matrix("up", spots(t))
	first, same, other := Sample(cases, 20, 1), Sample(cases, 20, 1), Sample(cases, 20, 2)
	text := func(list []Case) (lines []string) {
		for _, c := range list {
			lines = append(lines, c.String())
		}
		return lines
	}
	if !slices.Equal(text(first), text(same)) || slices.Equal(text(first), text(other)) {
		t.Error("a seed gives one sample, another seed another one")
	}
	if n := len(Sample(cases, 0, 1)); n != len(cases) {
		t.Errorf("all are %d, want %d", n, len(cases))
	}
	if Dice(1, cases[0]).Uint64() != Dice(1, cases[0]).Uint64() || Dice(1, cases[0]).Uint64() == Dice(1, cases[1]).Uint64() {
		t.Error("the dice of a case are its own")
	}
}
