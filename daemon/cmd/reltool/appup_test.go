package main

import (
	"os"
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk/describe"
	"github.com/theseusd/theseus/upgrades/appup"
)

// drafted is a draft of a source in a folder, with everything that a draft can hold.
func drafted(t *testing.T) (source, *appup.Draft) {
	t.Helper()
	checkout(t)
	manifest(t, "plugins/visits/v1", "name = \"visits\"\nversion = \"1.0.0\"\n[[listen]]\nname = \"http\"\naddress = \":80\"\n")
	manifest(t, "plugins/visits/v2", "name = \"visits\"\nversion = \"2.0.0\"\n[[listen]]\nname = \"http\"\naddress = \":80\"\n")
	v1, err := readSource("plugins/visits/v1/appup.toml")
	if err != nil {
		t.Fatal(err)
	}
	v2, err := readSource("plugins/visits/v2/appup.toml")
	if err != nil {
		t.Fatal(err)
	}
	table := func(version int, shape string) []describe.Table {
		return []describe.Table{{Name: "visits", Schema: "visit", Version: version, Shape: shape}}
	}
	d, err := appup.NewDraft(
		appup.Version{Manifest: v1.manifest, Describe: describe.Service{
			Name: "visits", Version: "1.0.0", Listeners: []string{"http"},
			Verbs: []describe.Verb{{Name: "hit"}, {Name: "top"}}, Tables: table(1, "{user:string,count:int64}"),
		}},
		appup.Version{Manifest: v2.manifest, Describe: describe.Service{
			Name: "visits", Version: "2.0.0", Listeners: []string{"http", "grpc"},
			Verbs: []describe.Verb{{Name: "hit"}}, Tables: table(1, "{user:string,visits:int64}"),
		}},
	)
	if err != nil {
		t.Fatal(err)
	}
	return v2, d
}

func TestDraftIsPrinted(t *testing.T) {
	home, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	s, d := drafted(t)
	tool, text := drawing(screen{})
	if err := tool.showDraft(s, d, false); err != nil {
		t.Fatal(err)
	}
	got := text.String()
	if now, _ := os.ReadFile("plugins/visits/v2/appup.toml"); string(now) != string(s.text) {
		t.Errorf("it was written:\n%s", now)
	}
	t.Chdir(home)
	golden(t, "draft", got)
}

func TestDraftIsWritten(t *testing.T) {
	s, d := drafted(t)
	tool, text := drawing(screen{})
	if err := tool.showDraft(s, d, true); err != nil {
		t.Fatal(err)
	}
	now, err := readSource("plugins/visits/v2/appup.toml")
	if err != nil || len(now.manifest.Up) != 1 || len(now.manifest.Listen) != 2 || len(now.manifest.DropVerbs) != 1 {
		t.Errorf("%v: %s", err, now.text)
	}
	if left, _ := os.ReadDir("plugins/visits/v2"); len(left) != 1 {
		t.Errorf("left beside it: %v", left)
	}
	if got := text.String(); !strings.HasPrefix(got, "written: plugins/visits/v2/appup.toml") || !strings.Contains(got, "set Version to 2") {
		t.Errorf("got %q", got)
	}
}

func TestDraftThatDoesNotFitIsNotWritten(t *testing.T) {
	s, d := drafted(t)
	d.Sections = "[[up]]\nfrom = \"about 1\"\n"
	tool, _ := drawing(screen{})
	if err := tool.showDraft(s, d, true); err == nil || !strings.Contains(err.Error(), "about 1") {
		t.Errorf("%v", err)
	}
	if now, _ := os.ReadFile("plugins/visits/v2/appup.toml"); string(now) != string(s.text) {
		t.Errorf("it was written:\n%s", now)
	}
}

func TestAppupUsage(t *testing.T) {
	checkout(t, tree...)
	t.Setenv("THESEUS_DIR", t.TempDir())
	for line, want := range map[string]string{
		"appup":                                  "2 accepts 1 arg(s)",
		"appup chat":                             "1 there is no source of chat",
		"appup .":                                "2 one service at a time",
		"appup visits@2.0.0 --from one":          "2 --from \"one\" is no version",
		"appup visits@2.0.0 --from 2.0.0":        "2 --from 2.0.0 is not below visits 2.0.0",
		"appup visits@2.0.0 --from 1.5.0":        "1 visits 1.5.0 is neither among the sources nor in the store",
		"appup cache":                            "0 nothing to draft: cache 1.2.0: there is no version below it",
		"appup visits@1.0.0":                     "0 nothing to draft: visits 1.0.0: there is no version below it",
		"__complete appup v":                     "0 visits@1.0.0",
		"__complete appup visits@2.0.0 --from 1": "0 1.0.0",
	} {
		code, out, errs := reltool(t.Context(), line)
		if !strings.HasPrefix(want, string(rune('0'+code))+" ") || !strings.Contains(out+errs, want[2:]) {
			t.Errorf("%s: got %d %q %q, want %s", line, code, out, errs, want)
		}
	}
}
