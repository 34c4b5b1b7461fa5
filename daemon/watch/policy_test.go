package watch

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/release"
)

// shop is a store and an engine that remember what they were asked.
type shop struct {
	releases []control.Release
	built    control.Built
	buildErr error
	seq      map[string]int64
	did      []string
	spare    []string // was discarded
}

func (s *shop) Add(_ context.Context, path string) (release.Package, error) {
	name, v, ok := split(filepath.Base(path))
	if !ok || name == "bad" {
		return release.Package{}, &release.RejectError{Reason: "bad"}
	}
	return release.Package{Name: name, Version: v.Original(), Seq: int64(v.Major())}, nil // signed in that order
}

func (s *shop) Build(_ context.Context, pkgs []release.Package, by string, _ ...string) (control.Built, error) {
	var list []string
	for _, p := range pkgs {
		list = append(list, p.Name+" "+p.Version)
	}
	slices.Sort(list)
	s.did = append(s.did, "build "+strings.Join(list, ", ")+" by "+by)
	return s.built, s.buildErr
}

func (s *shop) Discard(pkgs []release.Package) {
	for _, p := range pkgs {
		s.spare = append(s.spare, p.Name+" "+p.Version)
	}
}

func (s *shop) Seq(service string) int64 { return s.seq[service] }

func (s *shop) Boot(context.Context) error { s.did = append(s.did, "boot"); return nil }

func (s *shop) Plan(_ context.Context, r control.PlanRequest) (control.Plan, error) {
	return control.Plan{To: r.To, Digest: "seen", Hold: r.Hold, NoProbation: r.NoProbation}, nil
}

func (s *shop) Upgrade(_ context.Context, r control.UpgradeRequest, _ func(control.Event)) error {
	s.did = append(s.did, "upgrade "+r.To+" "+r.Digest)
	return nil
}

func (s *shop) Releases() []control.Release { return s.releases }

func (s *shop) Removed(service, version string) bool { return service+" "+version == "visits 0.9.0" }

// ruled has one rule for every service.
type ruled struct {
	rule  Rule
	allow string // everything if empty
}

func (r ruled) Allows(service string) bool { return r.allow == "" || r.allow == service }
func (r ruled) Rule(string) Rule           { return r.rule }

func TestPolicy(t *testing.T) {
	up := []control.Change{{Service: "visits", From: "1.0.0", To: "2.0.0"}}
	auto := Rule{Auto: true}
	for _, tc := range []struct {
		name  string
		files string
		has   map[string]string // of a release that is there
		seq   map[string]int64  // that has been permanent
		built control.Built
		rule  Rule
		want  string
		log   string
	}{
		{name: "one that was removed stays away", files: "visits-0.9.0.tpk", want: "", log: "a release that was removed"},
		{
			name: "staged by default", files: "visits-2.0.0.tpk", built: control.Built{From: "v1", To: "v2", New: true, Changes: up},
			want: "build visits 2.0.0 by releases/", log: "release v2 is ready: reltool upgrade",
		},
		{
			name: "auto upgrades with the plan it has seen", files: "visits-2.0.0.tpk", rule: auto,
			built: control.Built{From: "v1", To: "v2", New: true, Changes: up},
			want:  "build visits 2.0.0 by releases/; upgrade v2 seen",
		},
		{
			name: "auto within a range", files: "visits-2.0.0.tpk", rule: Rule{Auto: true, Constraint: "^2"},
			built: control.Built{From: "v1", To: "v2", New: true, Changes: up},
			want:  "build visits 2.0.0 by releases/; upgrade v2 seen",
		},
		{
			name: "not outside of it", files: "visits-2.0.0.tpk", rule: Rule{Auto: true, Constraint: "~1.0"},
			built: control.Built{From: "v1", To: "v2", New: true, Changes: up},
			want:  "build visits 2.0.0 by releases/", log: "release v2 is ready",
		},
		{
			name: "not with a range that is none", files: "visits-2.0.0.tpk", rule: Rule{Auto: true, Constraint: "about 2"},
			built: control.Built{From: "v1", To: "v2", New: true, Changes: up},
			want:  "build visits 2.0.0 by releases/", log: "no semver range",
		},
		{
			name: "never downwards", files: "visits-1.0.0.tpk", rule: auto,
			built: control.Built{
				From: "v2", To: "v3", New: true,
				Changes: []control.Change{{Service: "visits", From: "2.0.0", To: "1.0.0"}},
			},
			want: "build visits 1.0.0 by releases/", log: "release v3 is ready",
		},
		{
			name: "never when a service would go", files: "visits-2.0.0.tpk", rule: auto,
			built: control.Built{
				From: "v2", To: "v3", New: true,
				Changes: append([]control.Change{{Service: "old", From: "1.0.0"}}, up...),
			},
			want: "build visits 2.0.0 by releases/",
		},
		{
			name: "a set that was there is not applied again", files: "visits-2.0.0.tpk", rule: auto,
			built: control.Built{From: "v1", To: "v2", Changes: up}, want: "build visits 2.0.0 by releases/",
		},
		{
			name: "a version of some release makes no new one", files: "visits-2.0.0.tpk", rule: auto,
			has: map[string]string{"visits": "2.0.0"}, want: "", log: "part of a release already",
		},
		{
			name: "the first release is started", files: "cache-1.0.0.tpk visits-1.0.0.tpk",
			built: control.Built{To: "v1", New: true}, want: "build cache 1.0.0, visits 1.0.0 by releases/; boot",
		},
		{
			name: "the highest of each service counts", files: "visits-9.0.0.tpk visits-10.0.0.tpk visits-2.0.0.tpk",
			built: control.Built{From: "v1", To: "v1"}, want: "build visits 10.0.0 by releases/",
		},
		{
			name: "a pre-release does not stand in the way of a version", files: "visits-2.0.1-bad.tpk visits-2.0.0.tpk",
			built: control.Built{From: "v1", To: "v1"}, want: "build visits 2.0.0 by releases/",
		},
		{
			name: "auto is not for pre-releases", files: "visits-2.0.1-bad.tpk", rule: auto,
			built: control.Built{
				From: "v1", To: "v2", New: true,
				Changes: []control.Change{{Service: "visits", From: "1.0.0", To: "2.0.1-bad"}},
			},
			want: "build visits 2.0.1-bad by releases/", log: "release v2 is ready",
		},
		{
			name: "auto is not for what was signed before what has served", files: "visits-2.0.0.tpk", rule: auto,
			built: control.Built{From: "v1", To: "v2", New: true, Changes: up}, seq: map[string]int64{"visits": 3},
			want: "build visits 2.0.0 by releases/", log: "signed before what has served here",
		},
		{
			name: "auto is for what was signed later", files: "visits-2.0.0.tpk", rule: auto,
			built: control.Built{From: "v1", To: "v2", New: true, Changes: up}, seq: map[string]int64{"visits": 1, "cache": 9},
			want: "build visits 2.0.0 by releases/; upgrade v2 seen",
		},
		{name: "bad ones are left out", files: "bad-1.0.0.tpk", want: ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &shop{built: tc.built, seq: tc.seq, releases: []control.Release{{Name: "v1", Services: tc.has}}}
			var log bytes.Buffer
			p := Policy{
				Store: s, Engine: s, Read: func() Rules { return ruled{tc.rule, ""} },
				Logger: slog.New(slog.NewTextHandler(&log, nil)),
			}
			p.Handle(t.Context(), strings.Fields(tc.files))
			if got := strings.Join(s.did, "; "); got != tc.want {
				t.Errorf("did %q, want %q", got, tc.want)
			}
			if !strings.Contains(log.String(), tc.log) {
				t.Errorf("the log lacks %q: %s", tc.log, log.String())
			}
		})
	}
}

func TestReleaseForAServiceThatIsNotAllowed(t *testing.T) {
	s := &shop{built: control.Built{From: "v1", To: "v1"}}
	p := Policy{Store: s, Engine: s, Read: func() Rules { return ruled{allow: "visits"} }}
	refused := p.Handle(t.Context(), []string{"cache-1.0.0.tpk", "visits-1.0.0.tpk"})
	var no *release.RejectError
	if !errors.As(refused["cache-1.0.0.tpk"], &no) || !strings.Contains(no.Reason, "does not allow cache") || len(refused) != 1 {
		t.Errorf("refused %v", refused)
	}
	if got := strings.Join(s.did, "; "); got != "build visits 1.0.0 by releases/" {
		t.Errorf("did %q", got)
	}
}

func TestPolicyTellsRefusedForGoodFromTryAgain(t *testing.T) {
	for _, tc := range []struct {
		name  string
		err   error
		files string
		final bool
	}{
		{"the store refuses", nil, "bad-1.0.0.tpk", true},
		{"the engine refuses", &control.Error{Code: "uncovered", Message: "no Step"}, "visits-2.0.0.tpk", true},
		{"the engine is busy", &control.Error{Code: "busy"}, "visits-2.0.0.tpk", false},
		{"the disk is full", errors.New("no space"), "visits-2.0.0.tpk", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &shop{buildErr: tc.err}
			got := (&Policy{Store: s, Engine: s}).Handle(t.Context(), []string{tc.files})[tc.files]
			var refused *release.RejectError
			if got == nil || errors.As(got, &refused) != tc.final {
				t.Errorf("got %v", got)
			}
		})
	}
}

// Of what comes together only the best of each service is kept.
func TestLowerVersionsOfABatchDoNotStay(t *testing.T) {
	s := &shop{built: control.Built{From: "v1", To: "v2"}}
	p := &Policy{Store: s, Engine: s}
	if refused := p.Handle(t.Context(), []string{"visits-1.0.0.tpk", "visits-3.0.0.tpk", "cache-1.0.0.tpk", "visits-2.0.0.tpk"}); len(refused) > 0 {
		t.Errorf("refused %v", refused)
	}
	slices.Sort(s.spare)
	if want := []string{"visits 1.0.0", "visits 2.0.0"}; !slices.Equal(s.spare, want) {
		t.Errorf("discarded %q, want %q", s.spare, want)
	}
}
