package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/appup"
)

// checkout makes a tree with the manifests of some versions and goes there.
func checkout(t *testing.T, sources ...string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, s := range sources {
		dir, version, _ := strings.Cut(s, "@")
		name := strings.Split(strings.TrimPrefix(dir, "plugins/"), "/")[0]
		manifest(t, dir, fmt.Sprintf("name = %q\nversion = %q\n", name, version))
	}
}

func manifest(t *testing.T, dir, text string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, manifestName), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

var tree = []string{
	"plugins/visits/v1@1.0.0", "plugins/visits/v2@2.0.0", "plugins/visits/v10@10.0.0-rc.1", "plugins/cache@1.2.0",
}

func TestChoose(t *testing.T) {
	for _, tc := range []struct {
		name    string
		args    string
		running map[string]string
		want    string // or the error
		usage   bool
	}{
		{name: "the highest of each that is no pre-release", want: "cache 1.2.0, visits 2.0.0"},
		{name: "only what is higher than what runs", running: map[string]string{"visits": "1.0.0", "cache": "1.2.0"}, want: "visits 2.0.0"},
		{name: "nothing if all is there", running: map[string]string{"visits": "2.0.0", "cache": "2.0.0"}, want: ""},
		{name: "one by name", args: "visits", want: "visits 2.0.0"},
		{name: "one by name that is there", args: "visits", running: map[string]string{"visits": "2.0.0"}, want: ""},
		{name: "exactly a lower version", args: "visits@1.0.0", running: map[string]string{"visits": "2.0.0"}, want: "visits 1.0.0"},
		{name: "exactly a pre-release", args: "visits@10.0.0-rc.1 cache", want: "cache 1.2.0, visits 10.0.0-rc.1"},
		{name: "a folder", args: "./plugins/visits/v1", want: "visits 1.0.0"},
		{name: "a folder of folders", args: "plugins/visits", want: "visits 2.0.0"},
		{name: "a checkout", args: ".", want: "cache 1.2.0, visits 2.0.0"},
		{name: "a version in a folder", args: "plugins/visits visits@1.0.0", want: "visits 1.0.0"},
		{name: "an unknown name", args: "chat", want: "there is no source of chat"},
		{name: "an unknown version", args: "visits@3.0.0", want: "there is no source of visits 3.0.0, only of 1.0.0, 2.0.0, 10.0.0-rc.1"},
		{name: "a folder without sources", args: "./plugins/nothing", want: "there is no appup.toml in ./plugins/nothing or below it"},
		{name: "twice", args: "visits visits@1.0.0", want: "visits is asked for twice", usage: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			checkout(t, tree...)
			w, err := parseWanted(strings.Fields(tc.args))
			var picked []source
			if err == nil {
				picked, err = choose(w, tc.running)
			}
			got := listed(picked)
			if err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			var usage *usageError
			if errors.As(err, &usage) != tc.usage {
				t.Errorf("usage error: %v", err)
			}
		})
	}
}

func listed(list []source) string {
	var names []string
	for _, s := range list {
		names = append(names, s.String())
	}
	return strings.Join(names, ", ")
}

func TestSameVersionInTwoFoldersIsRefused(t *testing.T) {
	checkout(t, "plugins/visits/a@1.0.0", "plugins/visits/b@1.0.0")
	_, err := findSources(nil)
	if err == nil || !strings.Contains(err.Error(), "visits 1.0.0 is in two folders: plugins/visits/a and plugins/visits/b") {
		t.Fatalf("got %v", err)
	}
}

func TestBrokenManifestEndsTheBuild(t *testing.T) {
	checkout(t, tree...)
	manifest(t, "plugins/broken", "name = \"broken\"\nversion = \"1.0.0\"\ncolour = \"red\"\n")
	_, err := choose(wanted{}, nil)
	var e *appup.ParseError
	if !errors.As(err, &e) || e.Line != 3 {
		t.Fatalf("got %v", err)
	}
}

func TestNoSourcesAtAll(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := choose(wanted{}, nil); err == nil || !strings.Contains(err.Error(), "there are no sources here") {
		t.Fatalf("got %v", err)
	}
}

// A package tells of the lower versions beside its source, so that a path can lead through them.
func TestPredecessors(t *testing.T) {
	checkout(t, append(tree, "plugins/visits/v3@3.0.0")...)
	manifest(t, "plugins/visits/broken", "colour = 3\n")
	for folder, want := range map[string]string{"plugins/visits/v3": "1.0.0 2.0.0", "plugins/visits/v1": "", "plugins/cache": ""} {
		s, err := readSource(filepath.Join(folder, manifestName))
		if err != nil {
			t.Fatal(err)
		}
		texts, err := predecessors(s)
		var got []string
		for _, text := range texts {
			m, err := appup.Parse("", text)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, m.Version)
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %v, %v; want %s", folder, got, err, want)
		}
	}
}

// The daemon knows a manifest by its package; whoever is to edit it needs its path.
func TestHintsOfABuildNameTheFileToEdit(t *testing.T) {
	s := source{dir: "plugins/hello", manifest: &appup.Manifest{Name: "hello", Version: "1.3.0"}}
	err := inSources(&control.Error{Code: "no_appup", Message: "no way", Hint: "write at the end of hello-1.3.0/appup.toml:"}, []source{s})
	if e := asError(err); e.Hint != "write at the end of plugins/hello/appup.toml:" || e.Message != "no way" {
		t.Errorf("%+v", e)
	}
}
