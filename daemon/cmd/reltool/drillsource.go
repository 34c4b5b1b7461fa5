package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

var moduleLine = regexp.MustCompile(`(?m)^module .*$`)

// drillSource copies the source of visits 2.0.0 into a module of its own below dir, as an author outside of this checkout
// has it.
func drillSource(ctx context.Context, dir string) (string, error) {
	sources, err := findSources([]string{filepath.Join("plugins", "visits", "v2.0.0")})
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", err
	}
	checkout, module := filepath.Dir(strings.TrimSpace(string(out))), filepath.Join(dir, "author")
	to := filepath.Join(module, "visits")
	if err := os.CopyFS(to, os.DirFS(sources[0].dir)); err != nil {
		return "", err
	}
	mod, err := os.ReadFile(filepath.Join(checkout, "go.mod"))
	if err != nil {
		return "", err
	}
	sum, err := os.ReadFile(filepath.Join(checkout, "go.sum"))
	if err != nil {
		return "", err
	}
	mod = moduleLine.ReplaceAll(mod, []byte("module example.test/author"))
	mod = fmt.Appendf(mod, "\nrequire github.com/theseusd/theseus v0.0.0\n\nreplace github.com/theseusd/theseus => %s\n", checkout)
	return to, errors.Join(os.WriteFile(filepath.Join(module, "go.mod"), mod, 0o600),
		os.WriteFile(filepath.Join(module, "go.sum"), sum, 0o600))
}
