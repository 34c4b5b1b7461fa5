package appup

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk/describe"
)

// pair is two versions of a service; every row of the table changes it.
type pair struct {
	older, newer         string // manifests, without name and version
	olderSelf, newerSelf describe.Service
}

// whole is a version with a table, two verbs and two listeners.
func whole(version string) describe.Service {
	return describe.Service{
		Name: "visits", Version: version, Tables: []describe.Table{table(1, shape1)},
		Verbs: []describe.Verb{{Name: "hit"}, {Name: "top"}}, Listeners: []string{"control", "http", "resp"},
	}
}

const (
	opens = "[[listen]]\nname = \"http\"\naddress = \":80\"\n[[listen]]\nname = \"resp\"\naddress = \":6380\"\n"
	both  = "[[up]]\nfrom = \"~1.0\"\n[[down]]\nto = \"~1.0\"\n"
)

func (p *pair) versions(t *testing.T) (older, newer Version) {
	t.Helper()
	older, newer = version(t, "1.0.0", p.older), version(t, "2.0.0", p.newer)
	older.Describe, newer.Describe = p.olderSelf, p.newerSelf
	return older, newer
}

// follow does what a hint says: the line above the first [table], in the place of one with the same key, or the sections
// at the end.
func (p *pair) follow(t *testing.T, hint string) {
	t.Helper()
	if _, section, ok := strings.Cut(hint, "at the end of appup.toml:\n\n"); ok {
		p.newer += section
		return
	}
	_, line, ok := strings.Cut(hint, "above its first [table]: ")
	if !ok {
		t.Fatalf("this hint says no line to write: %s", hint)
	}
	key, _, _ := strings.Cut(line, " ")
	lines := slices.DeleteFunc(strings.Split(p.newer, "\n"), func(l string) bool { return strings.HasPrefix(l, key+" = ") })
	p.newer = line + "\n" + strings.Join(lines, "\n")
}

func without[T any](list []T, i int) []T { return slices.Delete(slices.Clone(list), i, i+1) }

// What a newer version does not cover is refused, the error says what and where, and what its hint says is enough.
func TestWhatIsNotCoveredIsRefusedAndTheHintMendsIt(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(p *pair)
		down   bool
		want   []string // the errors, one after another, each mended by its hint
	}{
		{"all is covered", func(*pair) {}, false, nil},
		{"no section up", func(p *pair) { p.newer = opens + "[[down]]\nto = \"~1.0\"\n" }, false, []string{
			"visits: no way up from 1.0.0 to 2.0.0: the manifest of 2.0.0 has no [[up]] section",
		}},
		{"no section up, and one down for others", func(p *pair) { p.newer = opens + "[[down]]\nto = \"~1.5\"\n" }, false, []string{
			"visits: no way up from 1.0.0 to 2.0.0: the manifest of 2.0.0 has no [[up]] section",
		}},
		{"a section for others", func(p *pair) { p.newer = opens + "[[up]]\nfrom = \"~1.5\"\n" }, false, []string{
			"visits: no way up from 1.0.0 to 2.0.0: 2.0.0 knows the way from ~1.5",
		}},
		{"no section down", func(p *pair) { p.newer = opens + "[[up]]\nfrom = \"~1.0\"\n" }, true, []string{
			"visits: no way down from 2.0.0 to 1.0.0: the manifest of 2.0.0 has no [[down]] section",
		}},
		{"a table is gone", func(p *pair) { p.newerSelf.Tables = nil }, false, []string{
			"visits: 2.0.0 has no table visits any more, and its manifest does not drop it",
		}},
		{"a table is gone, on the way down", func(p *pair) { p.newerSelf.Tables = nil }, true, []string{
			"visits: 2.0.0 has no table visits any more, and its manifest does not drop it",
		}},
		{"a verb is gone", func(p *pair) { p.newerSelf.Verbs = without(p.newerSelf.Verbs, 1) }, false, []string{
			"visits: 2.0.0 has no verb top any more, and its manifest does not drop it",
		}},
		{"all verbs are gone", func(p *pair) { p.newerSelf.Verbs = nil }, false, []string{
			"visits: 2.0.0 has no verb hit any more, and its manifest does not drop it",
			"visits: 2.0.0 has no verb top any more, and its manifest does not drop it",
		}},
		{"a listener is gone", func(p *pair) { p.newerSelf.Listeners = []string{"control", "http"} }, false, []string{
			"visits: 2.0.0 has no listener resp any more, and its manifest does not drop it",
		}},
		{"a listener is elsewhere", func(p *pair) { p.newer = strings.ReplaceAll(p.newer, ":80", ":81") }, false, []string{
			"visits: 2.0.0 has the listener http at :81, no longer at :80, and its manifest does not drop the old one",
		}},
		{"a listener of another network", func(p *pair) { p.newer = strings.ReplaceAll(p.newer, ":80\"", ":80\"\nnetwork = \"tcp4\"") }, false, []string{
			"visits: 2.0.0 has the listener http at tcp4 :80, no longer at :80, and its manifest does not drop the old one",
		}},
		{"on the way down clients lose nothing that they had", func(p *pair) {
			p.olderSelf.Verbs, p.olderSelf.Listeners = nil, nil
			p.older = strings.ReplaceAll(p.older, ":80", ":79")
		}, true, nil},
		{"everything at once", func(p *pair) {
			p.newer = ""
			p.newerSelf.Tables, p.newerSelf.Verbs, p.newerSelf.Listeners = nil, nil, nil
		}, false, []string{
			"visits: no way up from 1.0.0 to 2.0.0: the manifest of 2.0.0 has no [[up]] section",
			"visits: 2.0.0 has no table visits any more, and its manifest does not drop it",
			"visits: 2.0.0 has no verb hit any more, and its manifest does not drop it",
			"visits: 2.0.0 has no verb top any more, and its manifest does not drop it",
			"visits: 2.0.0 has no listener http any more, and its manifest does not drop it",
			"visits: 2.0.0 has no listener resp any more, and its manifest does not drop it",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &pair{older: opens, newer: opens + both, olderSelf: whole("1.0.0"), newerSelf: whole("2.0.0")}
			c.change(p)
			for _, want := range c.want {
				err := p.compile(t, c.down)
				if err == nil || err.Error() != want {
					t.Fatalf("got  %v\nwant %s", err, want)
				}
				p.follow(t, Hint(err))
			}
			for _, down := range []bool{c.down, !c.down} { // the hint for one way brings the other
				if err := p.compile(t, down); err != nil {
					t.Fatalf("after all hints were followed: %v\n%s", err, p.newer)
				}
			}
		})
	}
}

func (p *pair) compile(t *testing.T, down bool) error {
	t.Helper()
	older, newer := p.versions(t)
	if err := newer.Check(); err != nil {
		t.Fatal(err)
	}
	if down {
		older, newer = newer, older
	}
	_, err := Compile(older, newer)
	return err
}

// The lists are as strict as everything else.
func TestListsOfWhatIsDroppedAreStrict(t *testing.T) {
	for text, want := range map[string]string{
		"drop_verbs = [\"a\", \"a\"]":     `appup.toml:3:20: the verb "a" is there twice`,
		"drop_listeners = [\"\"]":         "appup.toml:3:19: a listener has a name",
		"drop_listeners = \"http\"":       "appup.toml:3:18: drop_listeners is a string here and must be an array",
		"drop_verb = [\"a\"]":             `appup.toml:3:1: unknown key "drop_verb"; did you mean "drop_verbs"?`,
		"[restart]\ndrop_verbs = [\"a\"]": `appup.toml:4:1: unknown key "drop_verbs" in restart; "drop_verbs" belongs above the first [table]`,
	} {
		_, err := Parse("appup.toml", []byte("name = \"visits\"\nversion = \"1.0.0\"\n"+text))
		var p *ParseError
		if !errors.As(err, &p) || p.Short() != want || !strings.Contains(p.Error(), "^") {
			t.Errorf("%s:\ngot  %v\nwant %s", text, err, want)
		}
	}
}
