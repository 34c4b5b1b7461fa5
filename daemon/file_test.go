package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/theseusd/theseus/daemon/watch"
	"github.com/theseusd/theseus/upgrades/appup"
)

func load(t *testing.T, text string) (*File, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "theseus.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(path)
}

func TestTheseusTOML(t *testing.T) {
	f, err := load(t, `
[service.visits]
upgrade = "auto"
within  = "^1"
listen.http = "127.0.0.1:9000"
config = { greeting = "hello", n = 3 }

[service.cache]
upgrade = "stage"
`)
	if err != nil {
		t.Fatal(err)
	}
	s := f.settings("visits")
	if s.Listen["http"] != "127.0.0.1:9000" || string(s.Config) != `{"greeting":"hello","n":3}` {
		t.Errorf("settings %v %s", s.Listen, s.Config)
	}
	for service, want := range map[string]watch.Rule{"visits": {Auto: true, Constraint: "^1"}, "cache": {}, "other": {}} {
		if got := f.rule(service); got != want {
			t.Errorf("rule of %s: %+v", service, got)
		}
	}
	if s := f.settings("other"); s.Listen != nil || s.Config != nil {
		t.Errorf("settings of a service that is not named: %+v", s)
	}
}

func TestTheseusTOMLMayBeMissing(t *testing.T) {
	if f, err := Load(filepath.Join(t.TempDir(), "none")); err != nil || len(f.Service) > 0 {
		t.Errorf("%v, %v", f, err)
	}
}

func TestMistakesAreShownWhereTheyAre(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"[service.visits]\ncolour = 3\n", "theseus.toml:2:1: unknown key service.visits.colour\n  2 | colour = 3\n    | ^"},
		{"[services.visits]\n", "theseus.toml:1:2: unknown key services"},
		{"[service.visits]\nupgrade = \"always\"\n", "theseus.toml:2:11: upgrade is \"always\", not \"auto\" or \"stage\"\n  2 | upgrade = \"always\"\n    |           ^"},
		{"[service.visits]\nwithin = \"about 1\"\n", "theseus.toml:2:10: \"about 1\" is no range of versions"},
		{"[service.visits\n", "theseus.toml:"},
		{"[service.visits]\nlisten.http = 8081\n", "theseus.toml:2:15: "},
	} {
		_, err := load(t, c.text)
		var at *appup.ParseError
		if !errors.As(err, &at) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q:\n%v\nwant\n%s", c.text, err, c.want)
		}
	}
}
