package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/sdk/describe"
	"github.com/theseusd/theseus/upgrades/appup"
)

func TestVersionOfTheNextBuild(t *testing.T) {
	for name, tc := range map[string]struct {
		source, running string
		taken           []string
		after           uint64
		want            string
	}{
		"a new service":                        {"1.0.0", "", nil, 0, "1.0.0-dev.1"},
		"the source is higher":                 {"2.0.0", "1.0.0", []string{"1.0.0"}, 0, "2.0.0-dev.1"},
		"the source runs":                      {"2.0.0", "2.0.0", []string{"1.0.0", "2.0.0"}, 0, "2.0.1-dev.1"},
		"the source is lower":                  {"1.0.0", "2.1.3", []string{"2.1.3"}, 0, "2.1.4-dev.1"},
		"a build of it runs":                   {"2.0.0", "2.0.0-dev.7", []string{"2.0.0-dev.7"}, 0, "2.0.0-dev.8"},
		"a build of the patch after it runs":   {"2.0.0", "2.0.1-dev.3", []string{"2.0.0", "2.0.1-dev.3"}, 0, "2.0.1-dev.4"},
		"the source was raised":                {"2.1.0", "2.0.1-dev.3", []string{"2.0.1-dev.3"}, 0, "2.1.0-dev.4"},
		"one that was refused has the highest": {"2.0.0", "2.0.0-dev.2", []string{"2.0.0-dev.2"}, 5, "2.0.0-dev.6"},
		"the source is a pre-release":          {"2.0.1-bad", "2.0.0", nil, 0, "2.0.1-dev.1"},
	} {
		t.Run(name, func(t *testing.T) {
			got, n := nextVersion(semver.MustParse(tc.source), tc.running, tc.taken, tc.after)
			if got != tc.want || !strings.HasSuffix(got, "-dev."+count(n)) {
				t.Errorf("got %s, %d, want %s", got, n, tc.want)
			}
			if now, err := semver.NewVersion(tc.running); err == nil && !semver.MustParse(got).GreaterThan(now) {
				t.Errorf("%s is not above %s", got, now)
			}
		})
	}
}

func TestOnlyRowsOfAnotherShapeAreRehearsed(t *testing.T) {
	shape := func(version int, shape string) describe.Service {
		return describe.Service{Tables: []describe.Table{{Name: "visits", Version: version, Shape: shape}}}
	}
	last := &piece{version: "2.0.0-dev.1", describe: shape(2, "{a:int64}")}
	for name, tc := range map[string]struct {
		last    *piece
		running string
		now     describe.Service
		want    appup.Do
	}{
		"the first build":        {nil, "1.0.0", shape(2, "{a:int64}"), appup.Update},
		"the same rows":          {last, "2.0.0-dev.1", shape(2, "{a:int64}"), appup.Load},
		"another version":        {last, "2.0.0-dev.1", shape(3, "{a:int64}"), appup.Update},
		"another shape":          {last, "2.0.0-dev.1", shape(2, "{a:string}"), appup.Update},
		"no table any more":      {last, "2.0.0-dev.1", describe.Service{}, appup.Update},
		"somebody else upgraded": {last, "2.0.0", shape(2, "{a:int64}"), appup.Update},
	} {
		t.Run(name, func(t *testing.T) {
			w := &workshop{last: tc.last}
			if got := w.how(&piece{running: tc.running, describe: tc.now}); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestHomeIsTheLastReleaseThatNoWorkshopHasMade(t *testing.T) {
	by := `ada (uid 1000) for "reltool dev"`
	for name, tc := range map[string]struct {
		serving string
		want    home
	}{
		"one of ours serves": {"v4", home{"v2", "2.0.0"}},
		"another one serves": {"v1", home{"v1", "1.0.0"}},
		"nothing serves":     {"", home{"v5", "3.0.0"}},
	} {
		t.Run(name, func(t *testing.T) {
			serve(t, map[string]string{
				"GET /v1/status": `{"release":"` + tc.serving + `"}`,
				"GET /v1/releases": `[{"name":"v1","services":{"visits":"1.0.0"}},{"name":"v2","services":{"visits":"2.0.0"}},
					{"name":"v3","by":` + quote(by) + `,"services":{"visits":"2.0.1-dev.1"}},
					{"name":"v4","by":` + quote(by) + `,"services":{"visits":"2.0.1-dev.2"}},
					{"name":"v5","services":{"visits":"3.0.0"}}]`,
			})
			c, err := control.Dial("")
			if err != nil {
				t.Fatal(err)
			}
			w := &workshop{client: c}
			if got, err := w.findHome(t.Context(), "visits"); err != nil || got != tc.want {
				t.Errorf("got %+v, %v, want %+v", got, err, tc.want)
			}
		})
	}
}

// Two people may work on one service: what is refused to one of them says what the other has swapped in.
func TestRefusalNamesWhatServes(t *testing.T) {
	serve(t, map[string]string{"GET /v1/status": `{"release":"v2","services":[{"name":"visits","version":"2.0.0-dev.1"}]}`})
	c, err := control.Dial("")
	if err != nil {
		t.Fatal(err)
	}
	w := &workshop{client: c, name: "visits", home: home{"v1", "1.0.0"}}
	if got, want := w.serving(), "2.0.0-dev.1 serves on"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func quote(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }

func TestSavesAreNoticed(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path+"~", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+"~", path); err != nil { // as editors do
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"go.mod": "module example.test/a\n\ngo 1.26\n", "main.go": "package main\n\nfunc main() {}\n", "appup.toml": "",
	} {
		write(name, text)
	}
	f := &files{dir: dir}
	f.list(t.Context())
	saved := make(chan struct{}, 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go f.watch(ctx, saved)
	quiet := func(why string) {
		t.Helper()
		select {
		case <-saved:
			t.Errorf("%s counts as a save", why)
		case <-time.After(5 * lookEvery):
		}
	}
	noticed := func(what string) {
		t.Helper()
		select {
		case <-saved:
		case <-time.After(time.Minute):
			t.Fatalf("%s was not noticed", what)
		}
	}
	quiet("nothing")
	write("main.go", "package main\n\nfunc main() { println() }\n")
	noticed("a changed file")
	write("more.go", "package main\n")
	noticed("a new file")
	write("appup.toml", "# changed\n")
	noticed("the manifest")
	write("main_test.go", "package main\n")
	write(".main.go.swp", "x")
	write("notes.txt", "x")
	quiet("what does not belong to the program")
	if err := os.Mkdir(filepath.Join(dir, "in"), 0o700); err != nil {
		t.Fatal(err)
	}
	write("in/in.go", "package in\n\nfunc Print() {}\n")
	write("main.go", "package main\n\nimport \"example.test/a/in\"\n\nfunc main() { in.Print() }\n")
	noticed("a changed file")
	f.list(t.Context())
	quiet("a new list")
	write("in/in.go", "package in\n\nfunc Print() { println() }\n")
	noticed("an imported package")
	if err := os.Remove(filepath.Join(dir, "more.go")); err != nil {
		t.Fatal(err)
	}
	noticed("a file that has gone")
}
