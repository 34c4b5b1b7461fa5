package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk/control"
)

// Every code that some package gives an error is in the list, and in the list is none that nobody gives.
func TestListOfCodesIsComplete(t *testing.T) {
	used := map[string]string{}
	for _, dir := range []string{"../../../upgrades", "../../../daemon", "../../../sdk/control"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				for _, code := range codesIn(n) {
					used[code] = set.Position(n.Pos()).String()
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	listed := map[string]bool{}
	for _, c := range control.Codes {
		if listed[c.Code] {
			t.Errorf("%s is listed twice", c.Code)
		}
		if listed[c.Code] = true; used[c.Code] == "" {
			t.Errorf("%s is listed, and nobody gives it", c.Code)
		}
		if c.Meaning == "" || c.Exit < failed || c.Exit > unreachable {
			t.Errorf("%+v", c)
		}
	}
	for code, at := range used {
		if !listed[code] {
			t.Errorf("%s: the code %q is missing in control.Codes", at, code)
		}
	}
	if len(used) < 20 {
		t.Errorf("only %d codes were found", len(used))
	}
}

// codesIn finds constants that are named as codes, and texts that are set as one.
func codesIn(n ast.Node) (codes []string) {
	text := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if code, err := strconv.Unquote(lit.Value); err == nil {
				codes = append(codes, code)
			}
		}
	}
	switch n := n.(type) {
	case *ast.ValueSpec:
		for i, name := range n.Names {
			if strings.HasPrefix(strings.ToLower(name.Name), "code") && i < len(n.Values) {
				text(n.Values[i])
			}
		}
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Code" {
			text(n.Value)
		}
	}
	return codes
}

func TestFailuresAreJSONToo(t *testing.T) {
	serve(t, map[string]string{"POST /v1/plan": `!{"code":"no_appup","error":"no way","running":"v1: visits 1.0.0","hint":"add <one>"}`})
	for line, want := range map[string]struct {
		code int
		text string
	}{
		"upgrade --json": {1, `{"code":"no_appup","error":"no way","running":"v1: visits 1.0.0","hint":"add <one>"}` + "\n"},
		"build ./nowhere --out x --json": {1, `{"code":"failed","error":"there is no appup.toml in ./nowhere or below it",` +
			`"hint":"the source of a service is a folder with main.go and appup.toml"}` + "\n"},
		"history x --json": {2, `{"code":"usage","error":"\"x\" is not the number of an upgrade","hint":"see: reltool --help"}` + "\n"},
		"status --dir /nowhere --json": {3, `{"code":"no_daemon","error":"no daemon is running in /nowhere",` +
			`"hint":"start it with: theseusd --dir /nowhere   (another instance: --dir DIR or THESEUS_DIR)"}` + "\n"},
	} {
		if code, _, errs := reltool(t.Context(), line); code != want.code || errs != want.text {
			t.Errorf("%s: got %d %s", line, code, errs)
		}
	}
}

func TestExitCodesHaveAPageOfHelp(t *testing.T) {
	code, out, _ := reltool(t.Context(), "help exit-codes")
	if code != 0 || !strings.Contains(out, "rolled_back   1  rolled back after the commit") {
		t.Errorf("got %d %q", code, out)
	}
}
