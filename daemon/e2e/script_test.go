package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/theseusd/theseus/upgrades/trust"
)

// probation of the services in scripts.
const probation = `"2s"`

// yard is what all scripts share: the binaries and the packages, built once.
type yard struct {
	bin, packages, checkout string
	key                     trust.Key // that has signed the packages
	next                    string    // a theseusd of a higher version
}

var shared yard

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "th")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
		if err := shared.build(dir); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			return 1
		}
		return m.Run()
	}())
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		WorkdirRoot:         shortTemp(t),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setup,
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start": start, "stop": stop, "await": await, "kill9": kill9, "stand": stand, "load": load, "clients": clients, "say": say, "browsers": browsers, "mangle": mangle, "exits": exits,
			"rates": rates, "smalldisk": smallDisk, "filldisk": fillDisk, "flood": flood,
			"pids": pids,
		},
	})
}

// condition is what a script may ask for in brackets.
func condition(cond string) (bool, error) {
	switch cond {
	case "smalldisk":
		return canMount()
	case "chromium":
		return canBrowse()
	}
	return false, fmt.Errorf("unknown condition %q", cond)
}

// shortTemp is a folder whose name leaves room for the paths of sockets.
func shortTemp(t *testing.T) string {
	dir, err := os.MkdirTemp("", "th")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// build makes the binaries, a checkout of the services as an author outside of this module has one, and the packages.
func (y *yard) build(dir string) error {
	y.bin, y.packages, y.checkout = filepath.Join(dir, "bin"), filepath.Join(dir, "packages"), filepath.Join(dir, "src")
	root, err := filepath.Abs("../..")
	if err != nil {
		return err
	}
	if err := run(root, "go", "build", "-o", y.bin+"/", "./daemon/cmd/..."); err != nil {
		return err
	}
	y.next = filepath.Join(dir, "next", "theseusd")
	if err := run(root, "go", "build", "-ldflags", "-X "+versionVariable+"=0.2.0", "-o", y.next, "./daemon/cmd/theseusd"); err != nil {
		return err
	}
	for _, link := range []string{"visits", "cache", "chatctl", "faultlab", "ratelimit", "breaker"} {
		if err := os.Symlink("theseus", filepath.Join(y.bin, link)); err != nil {
			return err
		}
	}
	if err := y.check(root); err != nil {
		return err
	}
	if y.key, err = trust.Of(dir).Generate(); err != nil {
		return err
	}
	for _, versions := range [][]string{{"visits@1.0.0", "cache", "chat", "faultlab", "ratelimit", "breaker"}, {"visits@2.0.0"}, {"visits@2.0.1-bad"}} {
		args := append([]string{"--dir", dir, "build", "--out", y.packages}, versions...)
		if err := run(y.checkout, filepath.Join(y.bin, "reltool"), args...); err != nil {
			return err
		}
	}
	return nil
}

func run(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

const versionVariable = "github.com/theseusd/theseus/sdk/control.Version"

var (
	moduleLine = regexp.MustCompile(`(?m)^module .*$`)
	probations = regexp.MustCompile(`(?m)^(probation\s*=\s*)"[^"]*"`)
)

// check copies the services out, with short probations of the good ones, and a go.mod that leads back here.
func (y *yard) check(root string) error {
	for _, name := range []string{"visits", "cache", "chat", "faultlab", "ratelimit", "breaker"} {
		from, to := filepath.Join(root, "plugins", name), filepath.Join(y.checkout, "plugins", name)
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			return err
		}
	}
	if err := y.own(); err != nil {
		return err
	}
	processes := "upgrades/drill/processes"
	if err := os.CopyFS(filepath.Join(y.checkout, "processes"), os.DirFS(filepath.Join(root, processes))); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(y.checkout, "plugins/visits/*/appup.toml"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if strings.Contains(file, "-bad") {
			continue // it takes a few seconds to turn bad
		}
		if err := rewrite(file, file, func(text []byte) []byte {
			return probations.ReplaceAll(text, []byte("${1}"+probation))
		}); err != nil {
			return err
		}
	}
	if err := rewrite(filepath.Join(root, "go.sum"), filepath.Join(y.checkout, "go.sum"), bytes.Clone); err != nil {
		return err
	}
	return rewrite(filepath.Join(root, "go.mod"), filepath.Join(y.checkout, "go.mod"), func(text []byte) []byte {
		text = moduleLine.ReplaceAll(text, []byte("module example.test/voyage"))
		return fmt.Appendf(text, "\nrequire github.com/theseusd/theseus v0.0.0\n\nreplace github.com/theseusd/theseus => %s\n", root)
	})
}

// own has the services import their own packages from the checkout.
func (y *yard) own() error {
	return filepath.WalkDir(y.checkout, func(path string, d os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		return rewrite(path, path, func(text []byte) []byte {
			return bytes.ReplaceAll(text, []byte(`"github.com/theseusd/theseus/plugins/`), []byte(`"example.test/voyage/plugins/`))
		})
	})
}

func rewrite(from, to string, change func([]byte) []byte) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, change(text), 0o644)
}

// apart are services whose source is in a script only if that copies it from $PLUGINS, since a build makes all there is.
var apart = []string{"chat", "faultlab", "ratelimit", "breaker"}

// setup gives a script its checkout, its instance and its environment.
func setup(env *testscript.Env) error {
	if err := os.CopyFS(env.WorkDir, os.DirFS(shared.checkout)); err != nil {
		return err
	}
	for _, name := range apart {
		if err := os.RemoveAll(filepath.Join(env.WorkDir, "plugins", name)); err != nil {
			return err
		}
	}
	env.Setenv("PLUGINS", filepath.Join(shared.checkout, "plugins"))
	i := &instance{
		dir: filepath.Join(env.WorkDir, "i"), http: freePort(), resp: freePort(),
		limits: freePort(), rls: freePort(), checks: freePort(), chat: freePort(),
	}
	env.Values[instanceKey{}] = i
	if err := i.configure(); err != nil {
		return err
	}
	env.Setenv("PATH", shared.bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	env.Setenv("PKGS", shared.packages)
	env.Setenv("KEY", shared.key.Public)
	env.Setenv("BIN", shared.bin)
	env.Setenv("NEXT", shared.next)
	env.Setenv("DIR", i.dir)
	env.Setenv("THESEUS_DIR", i.dir)
	env.Setenv("VISITS", i.http)
	env.Setenv("CACHE", i.resp)
	env.Setenv("LIMITS", i.limits)
	env.Setenv("CHECKS", i.checks)
	env.Setenv("CHAT", i.chat)
	env.Setenv("SOCKET", filepath.Join(i.dir, ".theseus/run/control.sock"))
	return goEnv(env)
}

// goEnv lets reltool compile in a script, from the caches that are there and without a network.
func goEnv(env *testscript.Env) error {
	for _, key := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} {
		out, err := exec.Command("go", "env", key).Output()
		if err != nil {
			return err
		}
		env.Setenv(key, strings.TrimSpace(string(out)))
	}
	env.Setenv("GOPROXY", "off")
	return nil
}

// freePort is an address nobody listens on a moment ago.
func freePort() string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer ln.Close() //nolint:errcheck // it was only asked for its address
	return ln.Addr().String()
}

// exits runs a command that must end with a code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := err.(*exec.ExitError) //nolint:errorlint // that is what Exec returns
		if !ok {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("%s ended with %d, want %s", strings.Join(args[1:], " "), code, args[0])
	}
}
