package upgrades

import (
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk/control"
)

// line writes a journal as words: "built", "booted v1", "planned v1 v2", "committed".
func line(words ...string) []record {
	var list []record
	builds := 0
	for i, w := range words {
		f := strings.Fields(w)
		rec := record{Event: control.Event{Seq: uint64(i + 1), Kind: f[0]}}
		switch f[0] {
		case Built:
			builds++
			rec.To = "v" + string(rune('0'+builds))
			rec.Set = map[string]item{"visits": {Version: rec.To, Digest: rec.To}}
		case Booted, Removed:
			rec.To = f[1]
		case string(Planned):
			rec.From, rec.To, rec.Plan = f[1], f[2], &control.Plan{Probation: 10}
		}
		list = append(list, rec)
	}
	return list
}

var toSwitch = []string{"verified", "started", "rehearsed", "following", "switching"}

func upgrade(from, to string, end ...string) []string {
	return append(append([]string{"planned " + from + " " + to}, toSwitch...), end...)
}

func with(head []string, more ...[]string) []string {
	for _, m := range more {
		head = append(head, m...)
	}
	return head
}

func TestFold(t *testing.T) {
	base := []string{"built", "booted v1", "built"}
	for _, tt := range []struct {
		name    string
		journal []string
		want    string // statuses, the serving release, the state of the upgrade under way
	}{
		{"nothing", nil, " serving "},
		{"a release that never ran", []string{"built"}, "unpacked serving "},
		{"the first release runs", base, "permanent unpacked serving v1"},
		{"an upgrade has begun", with(base, upgrade("v1", "v2")), "permanent unpacked serving v1 switching"},
		{"one of several has gone over", with(base, upgrade("v1", "v2", "switched")), "permanent unpacked serving v1 switching"},
		{"an upgrade is aborted", with(base, upgrade("v1", "v2", "aborted")), "permanent unpacked serving v1"},
		{"an upgrade is aborted early", with(base, []string{"planned v1 v2", "aborted"}), "permanent unpacked serving v1"},
		{"committed: the old one is permanent still", with(base, upgrade("v1", "v2", "committed")), "permanent current serving v2 committed"},
		{"on probation", with(base, upgrade("v1", "v2", "committed", "probation")), "permanent current serving v2 probation"},
		{"on probation again", with(base, upgrade("v1", "v2", "committed", "probation", "probation")), "permanent current serving v2 probation"},
		{"permanent", with(base, upgrade("v1", "v2", "committed", "probation", "permanent")), "old permanent serving v2"},
		{"going back", with(base, upgrade("v1", "v2", "committed", "rolling_back")), "permanent current serving v2 rolling_back"},
		{"rolled back", with(base, upgrade("v1", "v2", "committed", "probation", "rolling_back", "rolled_back")), "permanent unpacked serving v1"},
		{"no way back was found", with(base, upgrade("v1", "v2", "committed", "rolling_back", "permanent")), "old permanent serving v2"},
		{"rolled back and tried again", with(base, upgrade("v1", "v2", "committed", "rolling_back", "rolled_back"),
			upgrade("v1", "v2", "committed", "probation", "permanent")), "old permanent serving v2"},
		{"down again", with(base, upgrade("v1", "v2", "committed", "probation", "permanent"),
			upgrade("v2", "v1", "committed", "probation", "permanent")), "permanent old serving v1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := fold(line(tt.journal...))
			if err != nil {
				t.Fatal(err)
			}
			if got := r.describe(); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			if len(r.history) != len(tt.journal) {
				t.Errorf("%d events of %d", len(r.history), len(tt.journal))
			}
		})
	}
}

func (r *registry) describe() string {
	var list []string
	for _, n := range r.releases {
		list = append(list, n.status.String())
	}
	text := strings.Join(list, " ") + " serving " + r.serving
	if r.upgrade != nil {
		text += " " + string(r.upgrade.state)
	}
	return text
}

func TestFoldRefuses(t *testing.T) {
	base := []string{"built", "booted v1", "built"}
	for name, journal := range map[string][]string{
		"a step without a plan":           with(base, []string{"verified"}),
		"a plan beside another":           with(base, []string{"planned v1 v2", "planned v1 v2"}),
		"a commit before the switch":      with(base, []string{"planned v1 v2", "committed"}),
		"an abort after the commit":       with(base, upgrade("v1", "v2", "committed", "aborted")),
		"a rollback before the commit":    with(base, upgrade("v1", "v2", "rolling_back")),
		"permanent without probation":     with(base, upgrade("v1", "v2", "committed", "permanent")),
		"a plan for what was never built": with(base, []string{"planned v1 v9"}),
		"a second first release":          with(base, []string{"booted v2"}),
		"the serving release removed":     with(base, []string{"removed v1"}),
		"a release removed twice":         with(base, []string{"removed v2", "removed v2"}),
		"a removal during an upgrade":     with(base, []string{"built", "planned v1 v2", "removed v3"}),
		"an unknown kind":                 with(base, []string{"sunk"}),
	} {
		if _, err := fold(line(journal...)); err == nil || !strings.Contains(err.Error(), "journal record") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every state leads to an end, and the ends are three.
func TestEveryStateEnds(t *testing.T) {
	ends := map[State]bool{}
	var walk func(s State, seen map[State]bool)
	walk = func(s State, seen map[State]bool) {
		if s.Ended() {
			ends[s] = true
			return
		}
		seen[s] = true
		for _, to := range next[s] {
			if !seen[to] {
				walk(to, seen)
			}
		}
	}
	walk("", map[State]bool{})
	if len(ends) != 3 || !ends[Permanent] || !ends[Aborted] || !ends[RolledBack] {
		t.Errorf("ends: %v", ends)
	}
	for s := range next {
		if _, ok := next[s][string(Aborted)]; s != "" && ok == s.Decided() {
			t.Errorf("%s: can be aborted %v, decided %v", s, ok, s.Decided())
		}
	}
}

func TestTheLastFailureIsToldUntilAnUpgradeEndsWell(t *testing.T) {
	base := with([]string{"built", "booted v1", "built"}, upgrade("v1", "v2", "committed", "probation", "rolling_back", "rolled_back"))
	journal := line(with(base, upgrade("v1", "v2", "committed", "probation", "permanent"))...)
	failed := len(base) - 1
	journal[failed].Reason = "visits: unhealthy"
	for n, want := range map[int]string{failed: "", failed + 1: "v2: visits: unhealthy", len(journal) - 1: "v2: visits: unhealthy", len(journal): ""} {
		r, err := fold(journal[:n])
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if r.lost != nil {
			got = r.lost.Release + ": " + r.lost.Reason
		}
		if got != want {
			t.Errorf("after %d records: %q, want %q", n, got, want)
		}
	}
}
