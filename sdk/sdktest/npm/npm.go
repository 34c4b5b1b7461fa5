// Package npm runs programs for Node in tests: the clients that most people have, in their normal use. A program lies in
// a folder with the lock file of what it needs; nothing of that runs while it is installed. On a machine that has no
// Node, or does not reach the registry, the test is skipped, and says so.
package npm

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"
)

// limit is how long an installation, or a program, may take.
const limit = time.Minute

// Install copies a folder to one that ends with the test, and installs there what its lock file names.
func Install(t testing.TB, folder string) (dir string) {
	t.Helper()
	if testing.Short() {
		t.Skip("it installs a package")
	}
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("!! SKIPPED: %s was not tried, as there is no %s here", folder, name)
		}
	}
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, dir, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"); err != nil {
		t.Skipf("!! SKIPPED: %s was not tried, as what it needs cannot be installed: %v\n%s", folder, err, out)
	}
	return dir
}

// Run runs a program of an installed folder, and returns what it prints.
func Run(t testing.TB, dir, program string, args ...string) (string, error) {
	t.Helper()
	return run(t, dir, "node", append([]string{program}, args...)...)
}

func run(t testing.TB, dir, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}
