package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/theseusd/theseus/daemon/watch"
	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/journal"
	"github.com/theseusd/theseus/upgrades/release"
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
	const want = `{"config":{"greeting":"hello","n":3},"listen":{"http":"127.0.0.1:9000"}}`
	if s, err := f.settings("visits"); err != nil || s != want {
		t.Errorf("settings %s, %v", s, err)
	}
	for service, want := range map[string]watch.Rule{"visits": {Auto: true, Constraint: "^1"}, "cache": {}, "other": {}} {
		if got := f.Rule(service); got != want {
			t.Errorf("rule of %s: %+v", service, got)
		}
	}
	if s, err := f.settings("other"); err != nil || s != release.NoSettings {
		t.Errorf("settings of a service that is not named: %s, %v", s, err)
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
		{"[service.visits]\nlisten.http = \":8081\"\n", "theseus.toml:2:15: \":8081\" is no address like"},
		{"[service.visits]\nrestart.period = \"soon\"\n", "theseus.toml:2:18: \"soon\" is no duration"},
		{"[service.visits]\nrestart.intensity = -1\n", "theseus.toml:2:21: the intensity is negative"},
		{"[history]\nkeep = -1\n", "theseus.toml:2:8: less than nothing cannot be kept"},
		{"[service.visits]\nconfig = { rate = nan }\n", "theseus.toml:2:1: json: unsupported value: NaN"},
	} {
		_, err := load(t, c.text)
		var at *appup.ParseError
		if !errors.As(err, &at) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q:\n%v\nwant\n%s", c.text, err, c.want)
		}
	}
}

func TestMistakeAtTheStartIsForgottenOnceItIsMended(t *testing.T) {
	path := filepath.Join(t.TempDir(), "theseus.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("[[[ half of a line")
	o, err := newOperator(path, filepath.Join(t.TempDir(), "theseus.toml"))
	var mistake *appup.ParseError
	if !errors.As(err, &mistake) || o == nil {
		t.Fatalf("operator %v, error %v", o, err)
	}
	if _, err := o.Read(nil, nil); !errors.As(err, &mistake) {
		t.Errorf("a build would go on: %v", err)
	}
	if f, err := o.newest(); err == nil || f.Rule("visits").Auto || f.Allows("visits") || o.AtStart("visits") != release.NoSettings {
		t.Error("something was decided by a file that cannot be read")
	}
	if err := o.known(); !errors.As(err, &mistake) {
		t.Errorf("the drop folder would take something: %v", err)
	}
	write("releases.allow = [\"visits\"]\nservice.visits.upgrade = \"auto\"")
	if f, err := o.newest(); err != nil || !f.Rule("visits").Auto || !f.Allows("visits") || f.Allows("cache") || o.known() != nil {
		t.Error("the file that was mended does not count")
	}
}

// A daemon that crashes while theseus.toml has a mistake is followed by one that knows what was allowed.
func TestTheLastGoodFileHoldsForTheNextDaemonToo(t *testing.T) {
	dir := t.TempDir()
	path, kept := filepath.Join(dir, "theseus.toml"), filepath.Join(dir, "kept")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("releases.allow = [\"visits\"]")
	o, err := newOperator(path, kept)
	if err != nil {
		t.Fatal(err)
	}
	write("releases.allow = [\"cache\"]\nservice.cache.config = { a = 1 }")
	if _, err := o.newest(); err != nil {
		t.Fatal(err)
	}
	write("releases.allow = [")
	next, err := newOperator(path, kept)
	if err == nil {
		t.Error("the mistake is not told")
	}
	if f, err := next.newest(); err == nil || !f.Allows("cache") || f.Allows("visits") || next.known() != nil {
		t.Errorf("it goes by %+v", f)
	}
	if got := next.AtStart("cache"); got != `{"config":{"a":1}}` {
		t.Errorf("at start: %s", got)
	}
}

// A power loss may have left a kept file without a byte in it. That does not mean that everything is allowed.
func TestAnEmptyKeptFileAllowsNothing(t *testing.T) {
	dir := t.TempDir()
	path, kept := filepath.Join(dir, "theseus.toml"), filepath.Join(dir, "kept")
	if err := errors.Join(os.WriteFile(path, []byte("releases.allow = ["), 0o600), os.WriteFile(kept, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	o, err := newOperator(path, kept)
	if err == nil {
		t.Error("the mistake is not told")
	}
	if f, _ := o.newest(); f.Allows("visits") || o.known() == nil {
		t.Errorf("it goes by %+v", f)
	}
}

// That no theseus.toml was there is known to the next daemon as well.
func TestThatNothingWasDecidedIsKept(t *testing.T) {
	dir := t.TempDir()
	path, kept := filepath.Join(dir, "theseus.toml"), filepath.Join(dir, "kept")
	o, err := newOperator(path, kept)
	if err != nil {
		t.Fatal(err)
	}
	o.begin()
	if err := os.WriteFile(path, []byte("releases.allow = ["), 0o600); err != nil {
		t.Fatal(err)
	}
	next, _ := newOperator(path, kept)
	if f, err := next.newest(); err == nil || !f.Allows("visits") || next.known() != nil {
		t.Errorf("it goes by %+v", f)
	}
}

// What the daemon in charge can read stays kept until another one is in charge: that may know keys which this one does not, and
// fail its trial.
func TestADaemonOnTrialKeepsNothing(t *testing.T) {
	dir := t.TempDir()
	p, err := Prepare(dir)
	if err := errors.Join(err, os.WriteFile(p.Config, []byte("releases.allow = [\"new\"]"), 0o600), os.WriteFile(p.Kept, []byte("releases.allow = [\"old\"]"), 0o600)); err != nil {
		t.Fatal(err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if _, err := New(Config{Dir: dir, Beside: true, KeelFD: int(null.Fd()), Log: io.Discard}); err == nil {
		t.Fatal("there is no keel")
	}
	if text, err := os.ReadFile(p.Kept); err != nil || string(text) != "releases.allow = [\"old\"]" {
		t.Errorf("kept is %q, %v", text, err)
	}
	o, err := newOperator(p.Config, p.Kept)
	if err != nil {
		t.Fatal(err)
	}
	o.begin()
	if text, err := os.ReadFile(p.Kept); err != nil || string(text) != "releases.allow = [\"new\"]" {
		t.Errorf("kept by a daemon in charge is %q, %v", text, err)
	}
}

// The disk may refuse what is to be kept: that is told, and tried again.
func TestAFileThatCannotBeKept(t *testing.T) {
	dir := t.TempDir()
	path, kept := filepath.Join(dir, "theseus.toml"), filepath.Join(dir, "none", "theseus.toml")
	o, err := newOperator(path, kept)
	if err != nil {
		t.Fatal(err)
	}
	if o.begin(); o.unkept() == nil {
		t.Error("it says that it is kept")
	}
	if err := os.Mkdir(filepath.Dir(kept), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := o.newest(); err != nil || o.unkept() != nil {
		t.Errorf("%v, %v", err, o.unkept())
	}
}

func TestTheDropFolderGoesByTheFileAsItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "theseus.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("releases.allow = [\"visits\"]")
	o, err := newOperator(path, filepath.Join(t.TempDir(), "theseus.toml"))
	if err != nil {
		t.Fatal(err)
	}
	write("releases.allow = [\"cache\"]\nservice.cache.upgrade = \"auto\"") // no build has read it
	for _, text := range []string{"", "releases.allow = 3"} {
		if text != "" {
			write(text)
		}
		f, err := o.newest()
		if (err != nil) != (text != "") {
			t.Errorf("reading %q: %v", text, err)
		}
		if !f.Rule("cache").Auto || !f.Allows("cache") || f.Allows("visits") {
			t.Errorf("with %q the last good file does not hold: %+v", text, f)
		}
	}
}

func TestNamesThatNobodyKnows(t *testing.T) {
	known := map[string][]string{"visits": {"http"}, "cache": nil}
	for _, c := range []struct{ text, warns, refuses string }{
		{"service.visits.listen.http = \"127.0.0.1:1\"\nservice.cache.listen.any = \"127.0.0.1:2\"\n", "", ""},
		{
			"[service.vists]\nconfig = { a = 1 }\n", "",
			"theseus.toml:1:10: there is no service vists in any release or package; did you mean \"visits\"?\n  1 | [service.vists]\n    |          ^",
		},
		{"service = { vists = { config = { a = 1 } } }\n", "", "theseus.toml:1:13: there is no service vists"},
		{
			"\n[service.visits.listen]\nhtpp = \"127.0.0.1:1\"\n", "",
			"theseus.toml:3:1: visits has no listener htpp; did you mean \"http\"?",
		},
		{"service.warehouse.upgrade = \"auto\"\n", "theseus.toml:1:9: there is no service warehouse in any release or package; known: cache, visits", ""},
		{"service.visits.listen.metrics = \"127.0.0.1:1\"\n", "theseus.toml:1:23: visits has no listener metrics; known: http", ""},
	} {
		f, err := load(t, c.text)
		if err != nil {
			t.Fatal(err)
		}
		warnings, err := f.strangers(known)
		if got := strings.Join(warnings, "\n"); got != c.warns {
			t.Errorf("%q warns %q, want %q", c.text, got, c.warns)
		}
		if (err == nil) != (c.refuses == "") || (err != nil && !strings.HasPrefix(err.Error(), c.refuses)) {
			t.Errorf("%q:\n%v\nwant\n%s", c.text, err, c.refuses)
		}
	}
}

// An operator sees why nothing is upgraded any more, and what to do.
func TestStatusTellsOfAJournalThatTakesNothingMore(t *testing.T) {
	j, _, err := journal.Open(filepath.Join(t.TempDir(), "journal"))
	if err != nil {
		t.Fatal(err)
	}
	d := &Daemon{journal: j}
	if notes := d.unwritable(); len(notes) > 0 {
		t.Errorf("of a journal that is well: %q", notes)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if notes := d.unwritable(); len(notes) != 1 || !strings.Contains(notes[0], fmt.Sprintf("kill %d", os.Getpid())) {
		t.Errorf("%q", notes)
	}
}
