// Package theseus_test holds the rules of the house, as tests: which floor may stand on which, what lies at the top
// of the tree, and the size and habits of the code. Each failure says where, and what to do instead.
package theseus_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

const (
	module       = "github.com/theseusd/theseus"
	maxFunction  = 70  // lines
	maxFile      = 500 // lines
	goPlugin     = "github.com/hashicorp/go-plugin"
	fsnotify     = "github.com/fsnotify/fsnotify"
	natsClient   = "github.com/nats-io/nats.go"
	natsServer   = "github.com/nats-io/nats-server"
	cobraCommand = "github.com/spf13/cobra"
	minisign     = "aead.dev/minisign"
)

// floors says what a folder may import of ours. The longest folder that fits a package decides.
var floors = []struct {
	folder string
	may    []string // folders; a plugin may also import its own
}{
	{"sdk", []string{"sdk"}},
	{"plugins", []string{"sdk"}},
	{"upgrades", []string{"sdk", "upgrades"}},
	{"daemon", []string{"sdk", "upgrades", "daemon"}},
}

// borders lists the libraries that only some folders may import.
var borders = []struct {
	library string
	only    []string
	reason  string
}{
	{goPlugin, []string{"sdk", "sdk/wire", "daemon/host"}, "plugins are started in daemon/host and served by sdk"},
	{fsnotify, []string{"sdk/watch"}, "one package watches folders"},
	{natsClient, []string{"sdk/cluster"}, "one package talks to the bus"},
	{natsServer, []string{"plugins/bus"}, "the bus is a service"},
	{cobraCommand, []string{"daemon/cmd"}, "command lines end in daemon/cmd"},
	{minisign, []string{"upgrades/trust"}, "one package asks who has signed"},
}

// sleeps lists the files of production code that may call time.Sleep, each with its reason.
var sleeps = map[string]string{}

// top lists what may lie at the top of the tree.
var top = []string{
	".ci", ".editorconfig", ".gitignore", "BENCHMARKS.md", "CHANGELOG.md", "DECISIONS.md", "LICENSE", "Makefile",
	"README.md", "daemon", "go.mod", "go.sum", "house_test.go", "plugins", "releases", "sdk", "tools.mod", "tools.sum",
	"upgrades",
}

func TestFloors(t *testing.T) {
	for _, p := range packages(t) {
		may, ok := floorOf(p.folder())
		if !ok {
			continue // the top of the tree holds this test alone
		}
		for _, imported := range p.everyImport() {
			folder, ours := strings.CutPrefix(imported, module+"/")
			if ours && !slices.ContainsFunc(may, func(f string) bool { return within(folder, f) }) {
				t.Errorf("%s imports %s, but may import of ours only what is in %v", p.folder(), folder, may)
			}
		}
	}
}

func TestLibrariesStayBehindTheirBorders(t *testing.T) {
	for _, p := range packages(t) {
		for _, b := range borders {
			allowed := slices.Contains(b.only, p.folder()) ||
				slices.ContainsFunc(b.only, func(f string) bool { return f != "sdk" && within(p.folder(), f) })
			if allowed {
				continue
			}
			for _, imported := range p.everyImport() {
				if within(imported, b.library) {
					t.Errorf("%s imports %s, allowed in %v only: %s", p.folder(), imported, b.only, b.reason)
				}
			}
		}
	}
}

func TestTopOfTheTree(t *testing.T) {
	for _, name := range tree(t) {
		entry, _, _ := strings.Cut(name, "/")
		if !slices.Contains(top, entry) {
			t.Errorf("%s: nothing but %v lies at the top", entry, top)
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package doc", p.folder())
		}
	}
}

func TestFilesAndFunctionsAreShort(t *testing.T) {
	for _, s := range production(t) {
		if n := s.set.Position(s.file.End()).Line; n > maxFile {
			t.Errorf("%s has %d lines, more than %d: make two of it", s.name, n, maxFile)
		}
		for _, f := range s.functions() {
			from, to := s.set.Position(f.Pos()), s.set.Position(f.End())
			if n := to.Line - from.Line + 1; n > maxFunction {
				t.Errorf("%s: %s has %d lines, more than %d", from, f.Name.Name, n, maxFunction)
			}
		}
	}
}

func TestProductionCodeDoesNotSleep(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range production(t) {
		for _, at := range s.uses("time", "Sleep") {
			seen[s.name] = true
			if sleeps[s.name] == "" {
				t.Errorf("%s: time.Sleep: wait for the event, or use a timer with a context", at)
			}
		}
	}
	for name := range sleeps {
		if !seen[name] {
			t.Errorf("%s no longer sleeps: strike it off the list", name)
		}
	}
}

func TestNothingIsLeftForLater(t *testing.T) {
	later := regexp.MustCompile(`\b(` + strings.Join([]string{"TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"}, "|") + `)\b`)
	eachLine(t, func(name string, n int, line string) {
		if word := later.FindString(line); word != "" {
			t.Errorf("%s:%d: %s: do it now, or write an issue", name, n, word)
		}
	})
}

func TestFuzzingIsBoundedByACount(t *testing.T) {
	flag := regexp.MustCompile(`-fuzz` + `time[= ]?(\S*)`)
	count := regexp.MustCompile(`^(\d+|\$\(\w+\)|\$\{?\w+\}?)x\b`)
	eachLine(t, func(name string, n int, line string) {
		for _, m := range flag.FindAllStringSubmatch(line, -1) {
			if !count.MatchString(m[1]) {
				t.Errorf("%s:%d: fuzzing for a time can fail without a finding: give a count, 20000x", name, n)
			}
		}
	})
}

func TestManifestsAgreeWithTheirPrograms(t *testing.T) {
	found := 0
	for _, p := range packages(t) {
		if p.Name != "main" || !within(p.folder(), "plugins") {
			continue
		}
		found++
		m, err := readManifest(filepath.Join(p.Dir, "appup.toml"))
		if err != nil {
			t.Errorf("%s: %v", p.folder(), err)
			continue
		}
		name, version := serviceLiteral(t, p)
		if m.Name != name || m.Version != version {
			t.Errorf("%s: appup.toml says %s %s, the program %s %s", p.folder(), m.Name, m.Version, name, version)
		}
	}
	if found == 0 {
		t.Error("there is no plugin")
	}
}

func TestCommandsOfServicesAreLinked(t *testing.T) {
	m := regexp.MustCompile(`(?m)^COMMANDS := ([^#\n]*)`).FindStringSubmatch(read(t, "Makefile"))
	if m == nil {
		t.Fatal("the Makefile has no list of COMMANDS")
	}
	linked := strings.Fields(m[1])
	for _, p := range packages(t) {
		if p.Name != "main" || !within(p.folder(), "plugins") {
			continue
		}
		if m, err := readManifest(filepath.Join(p.Dir, "appup.toml")); err == nil && !slices.Contains(linked, m.Command) {
			t.Errorf("%s: the command %s is missing in COMMANDS of the Makefile", p.folder(), m.Command)
		}
	}
}

func TestModuleIsFitForAuthors(t *testing.T) {
	var mod struct {
		Tool    []struct{ Path string }
		Replace []struct{ Old struct{ Path string } }
	}
	if err := json.Unmarshal(run(t, "go", "mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	for _, tool := range mod.Tool {
		t.Errorf("go.mod has the tool %s: tools are pinned in tools.mod", tool.Path)
	}
	for _, r := range mod.Replace {
		t.Errorf("go.mod replaces %s: an author who imports the sdk would not get it", r.Old.Path)
	}
}

func TestReadmeAndMakefileAgree(t *testing.T) {
	target := regexp.MustCompile(`(?m)^([a-z0-9-]+):`)
	var targets []string
	for _, m := range target.FindAllStringSubmatch(read(t, "Makefile"), -1) {
		targets = append(targets, m[1])
	}
	asked := regexp.MustCompile("(?m)(?:^|`|\\$ |    )make ([a-z0-9-]+)")
	for _, doc := range []string{"README.md", "BENCHMARKS.md", "DECISIONS.md", "CHANGELOG.md"} {
		for _, m := range asked.FindAllStringSubmatch(read(t, doc), -1) {
			if !slices.Contains(targets, m[1]) {
				t.Errorf("%s tells of `make %s`, which the Makefile does not know", doc, m[1])
			}
		}
	}
}

func TestProgramsInTheReadmeBuild(t *testing.T) {
	program := regexp.MustCompile("(?s)```go\n(package main\n.*?)```")
	found := program.FindAllStringSubmatch(read(t, "README.md"), -1)
	if len(found) == 0 {
		t.Fatal("the README shows no program")
	}
	for _, m := range found {
		file := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(file, []byte(m[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("go", "build", "-o", os.DevNull, file).CombinedOutput(); err != nil {
			t.Errorf("a program in the README does not build: %v\n%s", err, out)
		}
	}
}

func TestLinksInDocumentsLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:\s]+)(#[^)]*)?\)`)
	for _, name := range tree(t) {
		if path.Ext(name) != ".md" {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(read(t, name), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s: the link to %s is dead", name, m[1])
			}
		}
	}
}

// goPackage is what `go list` tells of a package.
type goPackage struct {
	Dir, ImportPath, Name, Doc         string
	GoFiles                            []string
	Imports, TestImports, XTestImports []string
}

func (p goPackage) folder() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

func (p goPackage) everyImport() []string {
	return slices.Concat(p.Imports, p.TestImports, p.XTestImports)
}

var listOnce = sync.OnceValues(func() ([]goPackage, error) {
	out, err := exec.Command("go", "list", "-e", "-json=Dir,ImportPath,Name,Doc,GoFiles,Imports,TestImports,XTestImports", "./...").Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var all []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
})

func packages(t *testing.T) []goPackage {
	t.Helper()
	all, err := listOnce()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 2 {
		t.Fatalf("go list finds %d packages: the rules would hold for nothing", len(all))
	}
	return all
}

// floorOf says which folders a package may import of ours.
func floorOf(folder string) (may []string, ok bool) {
	for _, f := range floors {
		if !within(folder, f.folder) {
			continue
		}
		may = f.may
		if parts := strings.Split(folder, "/"); f.folder == "plugins" && len(parts) > 1 {
			may = slices.Concat(may, []string{path.Join(parts[:2]...)})
		}
		return may, true
	}
	return nil, false
}

// within tells whether name is folder or lies below it.
func within(name, folder string) bool {
	return name == folder || strings.HasPrefix(name, folder+"/")
}

// tree lists the files of the project by their slash paths, without what git ignores.
func tree(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		return walk(t)
	}
	var names []string
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if info, err := os.Lstat(name); err == nil && info.Mode().IsRegular() {
			names = append(names, name)
		}
	}
	return names
}

// walk is tree where there is no git.
func walk(t *testing.T) []string {
	t.Helper()
	ignored := []string{".git", ".theseus", "bin", "theseus.toml", "coverage.out"}
	var names []string
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case slices.Contains(ignored, name) && d.IsDir():
			return fs.SkipDir
		case slices.Contains(ignored, name), !d.Type().IsRegular(), path.Ext(name) == ".tpk":
			return nil
		}
		names = append(names, filepath.ToSlash(name))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// source is one Go file of production code: neither a test nor generated.
type source struct {
	name string
	set  *token.FileSet
	file *ast.File
}

func production(t *testing.T) []source {
	t.Helper()
	var all []source
	for _, name := range tree(t) {
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || strings.Contains(name, "testdata/") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			continue
		}
		if !ast.IsGenerated(file) {
			all = append(all, source{name, set, file})
		}
	}
	return all
}

func (s source) functions() []*ast.FuncDecl {
	var all []*ast.FuncDecl
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			all = append(all, f)
		}
	}
	return all
}

// uses finds where the file names pkg.name.
func (s source) uses(pkg, name string) []token.Position {
	var found []token.Position
	ast.Inspect(s.file, func(n ast.Node) bool {
		if e, ok := n.(*ast.SelectorExpr); ok && selects(e, pkg, name) {
			found = append(found, s.set.Position(e.Pos()))
		}
		return true
	})
	return found
}

func selects(e *ast.SelectorExpr, pkg, name string) bool {
	x, ok := e.X.(*ast.Ident)
	return ok && x.Name == pkg && e.Sel.Name == name
}

// manifest is what the house reads of an appup.toml.
type manifest struct{ Name, Version, Command string }

func readManifest(file string) (manifest, error) {
	body, err := os.ReadFile(file)
	if err != nil {
		return manifest{}, err
	}
	var m manifest
	if err := toml.Unmarshal(body, &m); err != nil {
		return manifest{}, fmt.Errorf("%s: %w", file, err)
	}
	if m.Command == "" {
		m.Command = m.Name
	}
	return m, nil
}

// serviceLiteral finds name and version in the sdk.Service literal of a program; constants of its package count.
func serviceLiteral(t *testing.T, p goPackage) (name, version string) {
	t.Helper()
	constants := map[string]string{}
	var literal *ast.CompositeLit
	for _, file := range p.GoFiles {
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, v := range n.Values {
					constants[n.Names[i].Name] = text(v, nil)
				}
			case *ast.CompositeLit:
				if e, ok := n.Type.(*ast.SelectorExpr); ok && selects(e, "sdk", "Service") {
					literal = n
				}
			}
			return true
		})
	}
	if literal == nil {
		t.Errorf("%s has no sdk.Service literal: name and version are read there", p.folder())
		return "", ""
	}
	return field(literal, "Name", constants), field(literal, "Version", constants)
}

func field(l *ast.CompositeLit, name string, constants map[string]string) string {
	for _, e := range l.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if key, ok := kv.Key.(*ast.Ident); ok && key.Name == name {
				return text(kv.Value, constants)
			}
		}
	}
	return ""
}

// text is the value of a string literal or of a named constant, "" for anything else.
func text(e ast.Expr, constants map[string]string) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, _ := strconv.Unquote(e.Value)
		return s
	case *ast.Ident:
		return constants[e.Name]
	}
	return ""
}

// eachLine calls f for each line of each text file of ours.
func eachLine(t *testing.T, f func(name string, n int, line string)) {
	t.Helper()
	for _, name := range tree(t) {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if path.Ext(name) == ".sum" || bytes.IndexByte(body, 0) >= 0 {
			continue
		}
		n := 0
		for line := range strings.SplitSeq(string(body), "\n") {
			n++
			f(name, n, line)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	body, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return out
}
