package appup

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/describe"
)

const (
	shape1 = "{user:string,count:int64}"
	shape2 = "{user:string,count:int64,last_seen:time}"
)

func table(version int, shape string, steps ...describe.Step) describe.Table {
	return describe.Table{Name: "visits", Schema: "visit", Version: version, Shape: shape, Steps: steps}
}

func version(t *testing.T, v, rest string, tables ...describe.Table) Version {
	t.Helper()
	m, err := Parse("appup.toml", []byte("name = \"visits\"\nversion = \""+v+"\"\n"+rest))
	if err != nil {
		t.Fatal(err)
	}
	return Version{Manifest: m, Describe: describe.Service{Name: "visits", Version: v, Tables: tables}}
}

const ways = "[[up]]\nfrom = \"~1.0\"\nprobation = \"3s\"\n[[down]]\nto = \"~1.0\"\ndo = \"restart\"\nirreversible = true\n"

func TestCompileGoesUpAndDown(t *testing.T) {
	one := version(t, "1.0.0", "", table(1, shape1))
	two := version(t, "2.0.0", ways, table(2, shape2, describe.Step{From: 1, Shape: shape1}))
	two.Describe.Tables = append(two.Describe.Tables, describe.Table{Name: "seen", Version: 1, Shape: "bytes"})

	up, err := Compile(one, two)
	if err != nil {
		t.Fatal(err)
	}
	want := &Relup{
		Service: "visits", From: "1.0.0", To: "2.0.0", Path: []string{"1.0.0", "2.0.0"}, Drain: 200 * time.Millisecond, Probation: 3 * time.Second,
		Health: time.Second, Limits: Gates{}.Limits(), Tables: []TableChange{
			{Table: "seen", To: 1, ToShape: "bytes", Kind: Added},
			{Table: "visits", From: 1, To: 2, FromShape: shape1, ToShape: shape2, Kind: Migrate},
		},
	}
	if !reflect.DeepEqual(up, want) {
		t.Fatalf("got  %+v\nwant %+v", up, want)
	}

	down, err := Compile(two, one)
	if err != nil {
		t.Fatal(err)
	}
	want = &Relup{
		Service: "visits", From: "2.0.0", To: "1.0.0", Path: []string{"2.0.0", "1.0.0"}, Down: true, Do: DoRestart, Irreversible: true,
		Drain: 200 * time.Millisecond, Probation: 10 * time.Second, Health: time.Second, Limits: Gates{}.Limits(), Tables: []TableChange{
			{Table: "seen", From: 1, FromShape: "bytes", Kind: Dropped},
			{Table: "visits", From: 2, To: 1, FromShape: shape2, ToShape: shape1, Kind: Migrate},
		},
	}
	if !reflect.DeepEqual(down, want) {
		t.Fatalf("got  %+v\nwant %+v", down, want)
	}
}

func TestCompileTakesTheFirstSectionThatHolds(t *testing.T) {
	from := version(t, "1.2.0", "")
	to := version(t, "2.0.0", "[[up]]\nfrom = \"~1.0\"\n[[up]]\nfrom = \"^1.1\"\ndo = \"load\"\n[[up]]\nfrom = \"*\"\n")
	if r, err := Compile(from, to); err != nil || r.Do != Load {
		t.Fatalf("%+v, %v", r, err)
	}
}

func TestPrereleasesAreVersionsLikeOthers(t *testing.T) {
	for _, c := range []struct {
		from, to, text string
		ok             bool
	}{
		{"2.0.0", "2.0.1-bad", "[[up]]\nfrom = \"~2.0\"", true},
		{"2.0.1-bad", "2.0.0", "[[down]]\nto = \"~2.0\"", true},
		{"2.0.1-bad", "2.0.2", "[[up]]\nfrom = \"~2.0\"", true},
		{"2.0.1-bad", "2.0.1", "[[up]]\nfrom = \"^2\"", true},
		{"2.1.0-rc1", "2.1.0", "[[up]]\nfrom = \"~2.0\"", false},
	} {
		t.Run(c.from+" to "+c.to, func(t *testing.T) {
			from, to := version(t, c.from, c.text), version(t, c.to, c.text)
			if _, err := Compile(from, to); (err == nil) != c.ok {
				t.Fatal(err)
			}
		})
	}
}

func TestNoAppupListsWhatIsKnown(t *testing.T) {
	one, two := version(t, "1.0.0", ""), version(t, "2.0.0", "[[up]]\nfrom = \"~1.5\"\n[[up]]\nfrom = \"1.9.x\"\n")
	again := version(t, "1.0.0", ways)
	for _, c := range []struct {
		name     string
		from, to Version
		want     string
	}{
		{"up", one, two, "visits: no way up from 1.0.0 to 2.0.0: 2.0.0 knows the way from ~1.5, 1.9.x"},
		{"down", two, one, "visits: no way down from 2.0.0 to 1.0.0: the manifest of 2.0.0 has no [[down]] section"},
		{"to itself", one, again, "visits 1.0.0 is there already: another package needs another version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Compile(c.from, c.to)
			var no *NoAppupError
			if !errors.As(err, &no) || !errors.Is(err, ErrNoAppup) || err.Error() != c.want {
				t.Fatalf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestAnUncoveredSchemaGetsItsStepWritten(t *testing.T) {
	renamed := "{user:string,visits:int64}"
	for _, c := range []struct {
		name         string
		older, newer describe.Table
		reason       string
		hint         string
	}{
		{
			"only fields were added", table(1, shape1), table(2, shape2),
			"its schema goes from version 1 to 2, and no Step leads there",
			"state.Add{From: 1, Fields: map[string]any{\n\t\"last_seen\": time.Time{},\n}}",
		},
		{
			"a field was renamed", table(1, shape1), table(2, renamed),
			"its schema goes from version 1 to 2, and no Step leads there",
			"type visitV1 struct {\n\tUser string `json:\"user\"`\n\tCount int64 `json:\"count\"`\n}\n\n" +
				"state.Step[visitV1, Visit]{\n\tFrom: 1,\n\tUp: func(key string, old visitV1, rest []byte) (v Visit, err error) {\n" +
				"\t\tv.User = old.User\n\t\t// fill in: make the new row of the old one; new: visits; gone: count; rest is what Down once kept\n" +
				"\t\treturn v, errors.New(\"the Step from version 1 of visit is not written yet\")\n\t},\n" +
				"\tDown: func(key string, v Visit) (old visitV1, rest []byte, err error) {\n\t\told.User = v.User\n" +
				"\t\t// fill in: make the old row of the new one; new: count; gone: visits; keep in rest what it cannot hold\n" +
				"\t\treturn old, nil, errors.New(\"the Step from version 1 of visit is not written yet\")\n\t},\n}",
		},
		{
			"the Steps begin one version later", table(1, shape1), table(3, shape2, describe.Step{From: 2, Shape: "{user:string,count:int64,tags:[string]}"}),
			"its schema goes from version 1 to 3, and no Step leads there",
			"state.Add{From: 1, Fields: map[string]any{\n\t\"tags\": []string{},\n}}",
		},
		{
			"the Steps begin one version later, with other rows", table(1, shape1), table(3, shape2, describe.Step{From: 2, Shape: "{n:int}"}),
			"its schema goes from version 1 to 3, and no Step leads there",
			"type visitV1 struct {\n\tUser string `json:\"user\"`\n\tCount int64 `json:\"count\"`\n}\n\n" +
				"state.Step[visitV1, visitV2]{\n\tFrom: 1,\n\tUp: func(key string, old visitV1, rest []byte) (v visitV2, err error) {\n" +
				"\t\t// fill in: make the new row of the old one; new: n; gone: user, count; rest is what Down once kept\n" +
				"\t\treturn v, errors.New(\"the Step from version 1 of visit is not written yet\")\n\t},\n" +
				"\tDown: func(key string, v visitV2) (old visitV1, rest []byte, err error) {\n" +
				"\t\t// fill in: make the old row of the new one; new: user, count; gone: n; keep in rest what it cannot hold\n" +
				"\t\treturn old, nil, errors.New(\"the Step from version 1 of visit is not written yet\")\n\t},\n}",
		},
		{
			"the Steps begin two versions later", table(1, shape1), table(4, shape2, describe.Step{From: 3}),
			"its schema goes from version 1 to 4, and no Step leads there",
			"bring back the Steps from version 1 to 3: they lead from one version to the next, without a gap",
		},
		{
			"the number jumped", table(1, shape1), table(3, shape2),
			"its schema goes from version 1 to 3, and no Step leads there",
			"a schema grows by one: it was 1, so set Version to 2 in state.Schema[Visit]{Name: \"visit\", ...} and write the Step:\n\n" +
				"state.Add{From: 1, Fields: map[string]any{\n\t\"last_seen\": time.Time{},\n}}",
		},
		{
			"the Step expects other rows", table(1, shape1), table(2, shape2, describe.Step{From: 1, Shape: renamed}),
			"the Step from version 1 expects rows of {user:string,visits:int64}, but they are {user:string,count:int64}",
			"declare the old type as it was:\n\ntype visitV1 struct {\n\tUser string `json:\"user\"`\n\tCount int64 `json:\"count\"`\n}",
		},
		{
			"the shape changed, the number did not", table(1, shape1), table(1, shape2),
			"its rows have changed from {user:string,count:int64} to {user:string,count:int64,last_seen:time}, but its schema still has version 1: raise it",
			"set Version to 2 in state.Schema[Visit]{Name: \"visit\", ...} and write the Step:\n\n" +
				"state.Add{From: 1, Fields: map[string]any{\n\t\"last_seen\": time.Time{},\n}}",
		},
		{
			"the number went back", table(3, shape1), table(2, shape2),
			"its schema goes back from version 3 to 2", "versions of a schema only grow: make it 4",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			one, two := version(t, "1.0.0", "", c.older), version(t, "2.0.0", ways, c.newer)
			for _, way := range [][2]Version{{one, two}, {two, one}} {
				_, err := Compile(way[0], way[1])
				var u *UncoveredError
				if !errors.As(err, &u) {
					t.Fatalf("err = %v", err)
				}
				if u.Reason != c.reason || u.Hint != c.hint || u.Table != "visits" || u.From != c.older.Version || u.To != c.newer.Version {
					t.Fatalf("got %+v\n%s\nwant %s\n%s", *u, u.Hint, c.reason, c.hint)
				}
			}
		})
	}
}

func TestAStepWithoutAShapeCovers(t *testing.T) {
	one, two := version(t, "1.0.0", "", table(1, shape1)), version(t, "2.0.0", ways, table(2, shape2, describe.Step{From: 1}))
	if _, err := Compile(one, two); err != nil {
		t.Fatal(err)
	}
}

func TestATableIsOnlyDroppedByName(t *testing.T) {
	one := version(t, "1.0.0", "", table(1, shape1))
	two := version(t, "2.0.0", "drop = [\"other\"]\n"+ways)
	_, err := Compile(one, two)
	var d *DroppedError
	if !errors.As(err, &d) || d.What != "table" || d.Name != "visits" ||
		d.Hint != `if its rows are to go, write in appup.toml, above its first [table]: drop = ["other", "visits"]` {
		t.Fatalf("%v, %+v", err, d)
	}
	two = version(t, "2.0.0", "drop = [\"visits\"]\n"+ways)
	r, err := Compile(one, two)
	if err != nil || r.Tables[0].Kind != Dropped || r.Tables[0].String() != "visits dropped: "+shape1 {
		t.Fatalf("%+v, %v", r, err)
	}
}

func TestLoadChangesNoState(t *testing.T) {
	load := "[[up]]\nfrom = \"~1.0\"\ndo = \"load\"\n"
	one := version(t, "1.0.0", "", table(1, shape1))
	if _, err := Compile(one, version(t, "1.0.1", load, table(1, shape1))); err != nil {
		t.Fatal(err)
	}
	_, err := Compile(one, version(t, "2.0.0", load, table(2, shape2, describe.Step{From: 1})))
	var p *ParseError
	if !errors.As(err, &p) || p.Line != 5 || p.Column != 6 || !strings.Contains(p.What, "load changes no state") {
		t.Fatal(err)
	}
}

func TestWhatClientsWillMissIsListed(t *testing.T) {
	one, two := version(t, "1.0.0", ""), version(t, "2.0.0", "drop_verbs = [\"hit\", \"top\"]\ndrop_listeners = [\"http\"]\n"+ways)
	one.Describe.Verbs = []describe.Verb{{Name: "top"}, {Name: "hit"}, {Name: "get"}}
	two.Describe.Verbs = []describe.Verb{{Name: "get"}}
	one.Describe.Listeners = []string{"http", "resp"}
	two.Describe.Listeners = []string{"resp", "grpc"}
	r, err := Compile(one, two)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(r.VerbsGone, []string{"hit", "top"}) || !reflect.DeepEqual(r.ListenersGone, []string{"http"}) {
		t.Fatalf("%v %v", r.VerbsGone, r.ListenersGone)
	}
}

func TestManifestAndBinaryAgree(t *testing.T) {
	for _, c := range []struct {
		name, text string
		spoil      func(*describe.Service)
		want       string
	}{
		{"all is well", "", func(*describe.Service) {}, ""},
		{"another name", "", func(d *describe.Service) { d.Name = "cache" }, "appup.toml:1:8: the manifest is of visits, the binary of cache"},
		{"another version", "", func(d *describe.Service) { d.Version = "1.0.1" }, "appup.toml:2:11: the manifest is of version 1.0.0, the binary of 1.0.1"},
		{"a listener nobody opens", "", func(d *describe.Service) { d.Listeners = []string{"http"} }, `appup.toml: the binary serves a listener "http", which the manifest does not open; write [[listen]] with name = "http"`},
		{"the own socket", "", func(d *describe.Service) { d.Listeners = []string{"control"} }, ""},
		{"dropped and there", "drop = [\"visits\"]", func(*describe.Service) {}, "appup.toml:3:9: the binary still has the table visits"},
		{"a dropped verb that is there", "drop_verbs = [\"top\"]", func(d *describe.Service) { d.Verbs = []describe.Verb{{Name: "top"}} }, "appup.toml:3:15: the binary still has the verb top"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := version(t, "1.0.0", c.text, table(1, shape1))
			c.spoil(&v.Describe)
			got := ""
			var p *ParseError
			if err := v.Check(); errors.As(err, &p) {
				got = p.Short()
			} else if err != nil {
				t.Fatalf("%T", err)
			}
			if got != c.want {
				t.Fatalf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func manifests(t *testing.T, requires map[string]string) (set []*Manifest) {
	t.Helper()
	for name, rest := range requires {
		m, err := Parse(name+".toml", []byte("name = \""+name+"\"\nversion = \"1.5.0\"\n[requires]\n"+rest))
		if err != nil {
			t.Fatal(err)
		}
		set = append(set, m)
	}
	return set
}

func TestCheckRequires(t *testing.T) {
	for _, c := range []struct {
		name string
		set  map[string]string
		want string
	}{
		{"nothing", nil, ""},
		{"a tree", map[string]string{"a": "b = '^1'\nc = '*'", "b": "c = '~1.5'", "c": ""}, ""},
		{"what is not there", map[string]string{"a": "b = '*'"}, "a.toml:4:5: a requires b, which is not there"},
		{"too old", map[string]string{"a": "b = '^2'", "b": ""}, "a.toml:4:5: a requires b ^2, and 1.5.0 is there"},
		{"two", map[string]string{"a": "b = '*'", "b": "a = '*'"}, "a.toml:4:5: requires form a cycle: a -> b -> a"},
		{
			"three, behind others",
			map[string]string{"a": "b = '*'", "b": "c = '*'", "c": "a0 = '*'\nd = '*'", "d": "b = '*'", "a0": ""},
			"b.toml:4:5: requires form a cycle: b -> c -> d -> b",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			var p *ParseError
			if err := CheckRequires(manifests(t, c.set)); errors.As(err, &p) {
				got = p.Short()
			} else if err != nil {
				t.Fatalf("%T", err)
			}
			if got != c.want {
				t.Fatalf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestWordsAreOTPs(t *testing.T) {
	for _, d := range []Do{Update, Load, DoRestart} {
		text, _ := d.MarshalText()
		var back Do
		if err := back.UnmarshalText(text); err != nil || back != d {
			t.Fatalf("%s: %v, %v", text, back, err)
		}
	}
	for _, k := range []Kind{Same, Migrate, Added, Dropped} {
		text, _ := k.MarshalText()
		var back Kind
		if err := back.UnmarshalText(text); err != nil || back != k {
			t.Fatalf("%s: %v, %v", text, back, err)
		}
	}
}

func TestOldTypesAreWrittenWithAllTheirParts(t *testing.T) {
	shape := "{tags:[string],at:{x:float64,y:[{z:bytes}]4?},who:map[string]{n:bytes16},when:time,up:^1?}"
	got := oldType(describe.Table{Schema: "chat room", Version: 2, Shape: shape})
	want := "type chatRoomV2 struct {\n\tTags []string `json:\"tags\"`\n\tAt struct {\n\t\tX float64 `json:\"x\"`\n" +
		"\t\tY *[4]struct {\n\t\t\tZ []byte `json:\"z\"`\n\t\t} `json:\"y\"`\n\t} `json:\"at\"`\n" +
		"\tWho map[string]struct {\n\t\tN [16]byte `json:\"n\"`\n\t} `json:\"who\"`\n\tWhen time.Time `json:\"when\"`\n" +
		"\tUp *any `json:\"up\"`\n}"
	if got != want {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTheOrderOfFieldsMeansNothing(t *testing.T) {
	a, b := "map[string]{b:int,a:[{y:int,x:{q:int,p:int}?}]}", "map[string]{a:[{x:{p:int,q:int}?,y:int}],b:int}"
	one, two := version(t, "1.0.0", "", table(1, a)), version(t, "2.0.0", ways, table(1, b))
	if r, err := Compile(one, two); err != nil || r.Tables[0].Kind != Same {
		t.Fatalf("%+v, %v", r, err)
	}
	two = version(t, "2.0.0", ways, table(2, "bytes", describe.Step{From: 1, Shape: b}))
	if _, err := Compile(one, two); err != nil {
		t.Fatal(err)
	}
}

func FuzzShapes(f *testing.F) {
	f.Add("{user:string,count:int64,seen:time,tags:[string],by:map[string]{n:int},next:int64?}", "{a:[{}]4}")
	f.Add("map[", "}{][:,")
	f.Fuzz(func(t *testing.T, a, b string) {
		if c := canonical(a); canonical(c) != c && strings.Count(a, "{") == strings.Count(a, "}") && !strings.ContainsAny(a, "[]") {
			t.Fatalf("%q, then %q", c, canonical(c))
		}
		_ = uncovered(table(1, a), table(2, b)).hint()
		_ = uncovered(table(1, b), table(1, a)).hint()
	})
}
