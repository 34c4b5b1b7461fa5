package daemon

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/release"
)

func TestSupervisionInTheseusTOML(t *testing.T) {
	f, err := load(t, `
[supervisor.backend]
strategy  = "rest_for_one"
intensity = 5
period    = "10s"
children  = ["limits", "front"]

[supervisor.front]
restart  = "transient"
children = ["chat"]
auto_shutdown = "all_significant"

[service.limits]
shutdown = "brutal_kill"
[service.chat]
restart.type = "temporary"
liveness = "off"
significant = true
[service.visits]
restart.intensity = 7
liveness = "10s"
`)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := f.supervision().Tree()
	const want = `{"supervisors":{` +
		`"backend":{"strategy":"rest_for_one","intensity":5,"period":"10s","restart":"permanent","children":["limits","front"]},` +
		`"front":{"strategy":"one_for_one","intensity":3,"period":"5s","restart":"transient","children":["chat"],"auto_shutdown":"all_significant"}},` +
		`"services":{"chat":{"restart":"temporary","liveness":"off","significant":true},"limits":{"restart":"permanent","shutdown":"brutal_kill"},` +
		`"visits":{"restart":"permanent","liveness":"10s"}}}`
	if err != nil || tree != want {
		t.Errorf("got  %s, %v\nwant %s", tree, err, want)
	}
	s, err := tree.Supervision()
	if again, _ := s.Tree(); err != nil || again != tree {
		t.Errorf("it comes back as %s, %v", again, err)
	}
	if s, err := f.settings("visits"); err != nil || s != `{"restart":{"intensity":7}}` {
		t.Errorf("settings %s, %v", s, err)
	}
	if s, err := f.settings("chat"); err != nil || s != release.NoSettings {
		t.Errorf("a place in the tree became a setting: %s, %v", s, err)
	}
}

func TestFileWithoutSupervisorsHasNoTree(t *testing.T) {
	f, err := load(t, "[service.visits]\nlisten.http = \"127.0.0.1:9000\"\n")
	if err != nil {
		t.Fatal(err)
	}
	if tree, err := f.supervision().Tree(); err != nil || tree != "" {
		t.Errorf("%q, %v", tree, err)
	}
}

func TestMistakesInTheTree(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"strategy": {
			"[supervisor.a]\nstrategy = \"one_for_al\"\nchildren = [\"x\"]",
			`theseus.toml:2:12: "one_for_al" is no strategy; write "one_for_all"`,
		},
		"strategy of children that come and go": {
			"[supervisor.a]\nstrategy = \"dynamic\"\nchildren = [\"x\"]",
			`theseus.toml:2:12: "dynamic" is no strategy; write one of ["one_for_one" "one_for_all" "rest_for_one"]`,
		},
		"restart":       {"[service.x]\nrestart.type = \"allways\"", `theseus.toml:2:16: "allways" is no way to restart; write one of ["permanent" "transient" "temporary"]`},
		"shutdown":      {"[service.x]\nshutdown = \"soon\"", `theseus.toml:2:12: shutdown: "soon" is no duration; write it as "200ms" or "10s", or as "brutal_kill" or "infinity"`},
		"liveness":      {"[service.x]\nliveness = \"1500ms\"", `theseus.toml:2:12: a liveness of 1.5s: it is counted in whole seconds, from 1s; or "off"`},
		"no liveness":   {"[service.x]\nliveness = \"never\"", `theseus.toml:2:12: liveness: "never" is no duration; write it as "200ms" or "10s", or "off"`},
		"auto_shutdown": {"[supervisor.a]\nchildren = [\"x\"]\nauto_shutdown = \"any\"", `theseus.toml:3:17: "any" is no auto_shutdown; write one of ["never" "any_significant" "all_significant"]`},
		"significant for ever": {
			"[supervisor.a]\nchildren = [\"x\"]\nauto_shutdown = \"any_significant\"\n[service.x]\nsignificant = true",
			"theseus.toml:5:1: x is permanent, and cannot be significant: it never ends by itself; make it transient or temporary",
		},
		"significant to nobody": {
			"[supervisor.a]\nchildren = [\"b\"]\n[supervisor.b]\nrestart = \"transient\"\nsignificant = true\nchildren = [\"x\"]",
			`theseus.toml:5:1: b is significant, and supervisor a does not end with such children; write auto_shutdown = "any_significant" or "all_significant" into [supervisor.a]`,
		},
		"significant to the root": {
			"[service.x]\nrestart.type = \"transient\"\nsignificant = true",
			"theseus.toml:3:1: x is significant to no supervisor: it is right under the root; name it in the children of one",
		},
		"intensity": {"[supervisor.a]\nchildren = [\"x\"]\nintensity = -1", "theseus.toml:3:13: the intensity is negative; 0 is none"},
		"period":    {"[supervisor.a]\nchildren = [\"x\"]\nperiod = \"1500ms\"", "theseus.toml:3:10: a period of 1.5s: it is counted in whole seconds"},
		"no period": {"[supervisor.a]\nchildren = [\"x\"]\nperiod = \"0s\"", "theseus.toml:3:10: a duration of 0s is too short"},
		"a long period": {
			"[supervisor.a]\nchildren = [\"x\"]\nperiod = \"25h\"", "theseus.toml:3:10: a period of 25h0m0s is longer than a day",
		},
		"no children":   {"[supervisor.a]\nintensity = 1", `theseus.toml:1:13: supervisor a has no children; write children = ["SERVICE", ...]`},
		"a name":        {"[supervisor.Back_end]\nchildren = [\"x\"]", `theseus.toml:1:13: "Back_end" is no name for a supervisor`},
		"root":          {"[supervisor.root]\nchildren = [\"x\"]", "theseus.toml:1:13: no supervisor can be called root"},
		"itself":        {"[supervisor.a]\nchildren = [\"x\", \"a\"]", "theseus.toml:2:18: supervisor a is a child of itself"},
		"twice":         {"[supervisor.a]\nchildren = [\"x\", \"x\"]", "theseus.toml:2:13: x is twice a child of supervisor a"},
		"two parents":   {"[supervisor.a]\nchildren = [\"x\"]\n[supervisor.b]\nchildren = [\"x\"]", "theseus.toml:4:13: x is a child of two supervisors, a and b; a child has one supervisor"},
		"a key twice":   {"[supervisor.a]\nchildren = [\"x\"]\n[supervisor.a]\nchildren = [\"y\"]", "theseus.toml:3:"},
		"cycle":         {"[supervisor.a]\nchildren = [\"b\"]\n[supervisor.b]\nchildren = [\"c\"]\n[supervisor.c]\nchildren = [\"a\"]", "theseus.toml:2:1: supervisors form a cycle: a -> b -> c -> a"},
		"unknown key":   {"[supervisor.a]\nkids = [\"x\"]", "theseus.toml:2:1: unknown key supervisor.a.kids"},
		"two who count": {"[supervisor.a]\nchildren = [\"x\"]\n[service.x]\nrestart.intensity = 4", "theseus.toml:4:1: restarts of x are counted by supervisor a; write intensity and period into [supervisor.a]"},
	} {
		_, err := load(t, c.text)
		var at *appup.ParseError
		if !errors.As(err, &at) || !strings.HasPrefix(at.Short(), c.want) {
			t.Errorf("%s:\n%v\nwant\n%s", name, err, c.want)
		}
	}
}

func TestMistakesThatOnlyAReleaseShows(t *testing.T) {
	services := release.Requires{"chat": {"limits"}, "limits": nil, "bus": {"visits"}, "visits": nil}
	for name, c := range map[string]struct{ text, want string }{
		"good":    {"[supervisor.a]\nchildren = [\"limits\", \"chat\"]", ""},
		"unknown": {"[supervisor.a]\nchildren = [\"limits\", \"archive\"]", "theseus.toml:2:23: supervisor a has the child archive, and the release has no such service; known: bus, chat, limits, visits, a"},
		"a slip":  {"[supervisor.a]\nchildren = [\"limit\"]", `theseus.toml:2:13: supervisor a has the child limit, and the release has no such service; did you mean "limits"?`},
		"order":   {"[supervisor.a]\nchildren = [\"chat\", \"limits\"]", "theseus.toml:2:13: chat requires limits, which starts after it under supervisor a; name limits before chat"},
		"order of supervisors": {
			"[supervisor.top]\nchildren = [\"a\", \"b\"]\n[supervisor.a]\nchildren = [\"chat\"]\n[supervisor.b]\nchildren = [\"limits\"]",
			"theseus.toml:2:13: chat requires limits, which starts after it under supervisor top; name b before a",
		},
		"each before the other": {
			"[supervisor.a]\nchildren = [\"chat\", \"visits\"]\n[supervisor.b]\nchildren = [\"limits\", \"bus\"]",
			"theseus.toml:2:1: supervisors have to start each before the other: a -> b -> a; put what requires each other under one supervisor",
		},
		"one name for two": {"[supervisor.chat]\nchildren = [\"limits\"]", "theseus.toml:1:13: chat is a supervisor and a service; give the supervisor another name"},
	} {
		f, err := load(t, c.text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		err = f.inTree(f.supervision().CheckServices(services))
		var at *appup.ParseError
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else if !errors.As(err, &at) || at.Short() != c.want {
			t.Errorf("%s:\n%v\nwant\n%s", name, err, c.want)
		}
	}
}

// When theseusd stops, its own time comes before that of a service: a build says so.
func TestShutdownThatIsLongerThanThatOfTheDaemon(t *testing.T) {
	f, err := load(t, "[service.a]\nshutdown = \"25s\"\n[service.b]\nshutdown = \"40s\"\n[service.c]\nshutdown = \"infinity\"\n[service.d]\nshutdown = \"brutal_kill\"\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"theseus.toml:4:12: b has a shutdown of 40s, but when theseusd stops all services together have 25s",
		"theseus.toml:6:12: c has a shutdown of infinity, but when theseusd stops all services together have 25s",
	}
	if got := f.hurried(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
