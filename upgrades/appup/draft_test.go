package appup

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk/describe"
)

// libraries are as much of the packages that a draft uses as it takes to check its types.
var libraries = map[string]string{
	"time":   "type Time struct{ wall uint64 }",
	"errors": "func New(text string) error { return nil }",
	"state": `type Add struct { From int; Fields map[string]any }
		type Step[Old, New any] struct {
			From int
			Up   func(key string, old Old, rest []byte) (New, error)
			Down func(key string, v New) (old Old, rest []byte, err error)
			Lossy bool
		}`,
}

type shelf map[string]*types.Package

func (s shelf) Import(path string) (*types.Package, error) {
	if p := s[path]; p != nil {
		return p, nil
	}
	p, err := typecheck("package "+path+"\n"+libraries[path], path, s)
	s[path] = p
	return p, err
}

func typecheck(src, path string, with types.Importer) (*types.Package, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path+".go", src, 0)
	if err != nil {
		return nil, err
	}
	return (&types.Config{Importer: with}).Check(path, set, []*ast.File{file}, nil)
}

// program is a file that holds a drafted Step and the newer type.
func program(newer describe.Table, code string) string {
	var b strings.Builder
	b.WriteString("package p\n")
	for name := range libraries {
		if strings.Contains(code, name+".") || strings.Contains(goType(newer.Shape, ""), name+".") {
			fmt.Fprintf(&b, "import %q\n", name)
		}
	}
	fmt.Fprintf(&b, "type %s %s\n", goName(newer), goType(newer.Shape, ""))
	if at := strings.Index(code, "state."); at >= 0 {
		return b.String() + code[:at] + "\nvar _ = " + code[at:]
	}
	return b.String() + code
}

// A drafted Step compiles, whatever the shape of the rows.
func TestDraftedStepsCompile(t *testing.T) {
	shapes := []string{
		"bytes", "string", "any", "map[string]int64", "[string]", "[int]3", "time?", "{a:int?,b:{c:[map[string]{d:time}]}}", "{}", "",
		shape1, shape2, "{user:string,visits:int64}", "{user:string,count:string,tags:[string],at:{x:float64}}",
		"{last_seen:time,of:map[string]bool,raw:bytes,id:bytes16}", "{a:int?,user:string}",
	}
	with := shelf{}
	for _, a := range shapes {
		for _, b := range shapes {
			older := describe.Table{Schema: "chat-room", Version: 1, Shape: a}
			newer := describe.Table{Schema: "chat-room", Version: 2, Shape: b}
			r := uncovered(older, newer)
			src := program(newer, r.code)
			if _, err := typecheck(src, "p", with); err != nil || r.code == "" {
				t.Fatalf("%s -> %s: %v\n%s", a, b, err, src)
			}
			if r.fill != strings.Contains(r.code, "// fill in:") || r.fill != strings.Contains(r.code, "not written yet") {
				t.Errorf("%s -> %s: fill %v\n%s", a, b, r.fill, r.code)
			}
		}
	}
}

func mustDraft(t *testing.T, older, newer Version) *Draft {
	t.Helper()
	d, err := NewDraft(older, newer)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A draft put into the manifest parses, and covers everything but the Steps, in both directions.
func TestDraftCovers(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(p *pair)
		top    string
		kinds  string // of the sections, in order
		left   int
		steps  int
	}{
		{name: "nothing is missing", change: func(*pair) {}},
		{name: "both ways", change: func(p *pair) { p.newer = opens }, kinds: "up down"},
		{name: "the way down", change: func(p *pair) { p.newer = opens + "[[up]]\nfrom = \"*\"\n" }, kinds: "down"},
		{name: "a way from others only", change: func(p *pair) { p.newer = opens + "[[up]]\nfrom = \"~1.9\"\n[[down]]\nto = \"1.9.x\"\n" }, kinds: "up down"},
		{name: "a new listener", change: func(p *pair) { p.newerSelf.Listeners = append(p.newerSelf.Listeners, "grpc") }, kinds: "listen", left: 1},
		{name: "a table, two verbs and a listener are gone", change: func(p *pair) {
			p.newerSelf.Tables, p.newerSelf.Verbs, p.newerSelf.Listeners = nil, nil, []string{"http"}
		}, top: "drop drop_verbs drop_listeners"},
		{name: "more is gone than the manifest says", change: func(p *pair) {
			p.newer = "drop_verbs = [\n  \"x]\", # ] not yet\n  'hit',\n]\n" + p.newer
			p.newerSelf.Verbs = nil
		}, top: "drop_verbs"},
		{name: "another address", change: func(p *pair) { p.newer = strings.ReplaceAll(p.newer, ":80", ":81") }, top: "drop_listeners"},
		{name: "a schema", change: func(p *pair) { p.newerSelf.Tables = []describe.Table{table(2, shape2)} }, steps: 1},
		{name: "a schema whose number stayed", change: func(p *pair) { p.newerSelf.Tables = []describe.Table{table(1, shape2)} }, steps: 1},
		{name: "load where rows change", change: func(p *pair) {
			p.newer = opens + "[[up]]\nfrom = \"~1.0\"\ndo = \"load\"\n[[down]]\nto = \"~1.0\"\ndo = \"load\"\n"
			p.newerSelf.Tables = []describe.Table{table(2, shape2, describe.Step{From: 1, Shape: shape1})}
		}, left: 2},
		{name: "a manifest of two lines", change: func(p *pair) {
			p.newer = ""
			p.newerSelf.Tables = nil
		}, top: "drop", kinds: "listen listen up down"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &pair{older: opens, newer: opens + both, olderSelf: whole("1.0.0"), newerSelf: whole("2.0.0")}
			c.change(p)
			older, newer := p.versions(t)
			d := mustDraft(t, older, newer)
			if d.Empty() != (c.top+c.kinds == "" && c.left+c.steps == 0) {
				t.Errorf("empty: %v: %+v", d.Empty(), d)
			}
			if got := topKeys(d); got != c.top || len(d.Left) != c.left || len(d.Steps) != c.steps {
				t.Errorf("top %q, left %q, steps %+v", got, d.Left, d.Steps)
			}
			if got := kindsOf(d.Sections); got != c.kinds {
				t.Errorf("sections %q, want %q", got, c.kinds)
			}
			d.covers(t, older, newer, c.left > 0 && c.kinds == "")
		})
	}
}

func topKeys(d *Draft) string {
	var keys []string
	for _, l := range d.Top {
		keys = append(keys, l.Key)
	}
	return strings.Join(keys, " ")
}

func kindsOf(sections string) string {
	var kinds []string
	for line := range strings.Lines(sections) {
		if word, ok := strings.CutPrefix(line, "[["); ok {
			kinds = append(kinds, strings.TrimSuffix(strings.TrimSpace(word), "]]"))
		}
	}
	return strings.Join(kinds, " ")
}

// covers puts the draft into the manifest and compiles both ways.
func (d *Draft) covers(t *testing.T, older, newer Version, refused bool) {
	t.Helper()
	text, err := d.Manifest()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if newer.Manifest, err = Parse("appup.toml", text); err != nil {
		t.Fatal(err)
	}
	if err := newer.Check(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	for _, way := range [][2]Version{{older, newer}, {newer, older}} {
		_, err := Compile(way[0], way[1])
		var open *UncoveredError
		if errors.As(err, &open) == (len(d.Steps) == 0) && !refused || (err != nil) != (len(d.Steps) > 0 || refused) {
			t.Errorf("%v\n%s", err, text)
		}
	}
	if again := mustDraft(t, older, newer); again.Sections != "" || len(again.Top) > 0 || len(again.Steps) != len(d.Steps) {
		t.Errorf("the draft does not settle: %+v\n%s", again, text)
	}
}

// The draft leaves what is there as it is, comments included.
func TestDraftKeepsTheManifest(t *testing.T) {
	p := &pair{
		older: opens, olderSelf: whole("1.0.0"), newerSelf: whole("2.0.0"),
		newer: "drop_verbs = [ 'x' ] # long ago\n\n# where we listen\n# (both)\n" + opens + "# the end",
	}
	p.newerSelf.Tables, p.newerSelf.Verbs = nil, []describe.Verb{{Name: "hit"}}
	older, newer := p.versions(t)
	text, err := mustDraft(t, older, newer).Manifest()
	if err != nil {
		t.Fatal(err)
	}
	want := `name = "visits"
version = "2.0.0"
drop_verbs = ["x", "top"] # long ago

# of 1.0.0 visits: their rows go, and do not come back on the way down
drop = ["visits"]

# where we listen
# (both)
` + opens + `# the end

[[up]]
from      = "~1.0"
do        = "update"
probation = "10s"

[[down]]
to        = "~1.0"
do        = "update"
probation = "10s"
`
	if string(text) != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

func TestNothingIsDraftedBackwards(t *testing.T) {
	one, two := version(t, "1.0.0", ""), version(t, "2.0.0", "")
	for _, pair := range [][2]Version{{two, one}, {one, one}} {
		if _, err := NewDraft(pair[0], pair[1]); err == nil || !strings.Contains(err.Error(), "does not follow") {
			t.Errorf("%v", err)
		}
	}
}
