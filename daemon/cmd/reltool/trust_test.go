package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/trust"
)

// initiatedInstance is a directory after reltool init, which THESEUS_DIR names.
func initiatedInstance(t *testing.T) (dir string, id trust.ID) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "i")
	t.Setenv(control.EnvDir, dir)
	code, out, errs := reltool(t.Context(), "init")
	if code != 0 || errs != "" || !strings.Contains(out, "made the key ") {
		t.Fatalf("init: %d %q %q", code, out, errs)
	}
	secret, err := trust.Of(dir).Local()
	if err != nil {
		t.Fatal(err)
	}
	return dir, secret.Public().ID
}

func TestInitMakesWhatIsMissingOnce(t *testing.T) {
	dir, id := initiatedInstance(t)
	code, out, _ := reltool(t.Context(), "init")
	if want := "instance " + dir + "\n  nothing to do\nreltool build signs with key " + string(id) + "\n"; code != 0 || out != want {
		t.Errorf("again: %d %q, want %q", code, out, want)
	}
	if code, _, errs := reltool(t.Context(), "--dir x init y"); code != 2 || !strings.Contains(errs, "once") {
		t.Errorf("twice a directory: %d %q", code, errs)
	}
	toml := filepath.Join(dir, "theseus.toml")
	for path, mode := range map[string]os.FileMode{filepath.Join(dir, "releases"): 0o775, toml: 0o664} {
		if path == toml {
			if err := os.WriteFile(toml, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if _, out, _ = reltool(t.Context(), "init"); strings.Count(out, "others may no longer write to ") != 2 {
		t.Errorf("open to a group: %q", out)
	}
	if info, err := os.Stat(toml); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func TestInitFollowsNoLink(t *testing.T) {
	dir, _ := initiatedInstance(t)
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(victim, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(dir, "theseus.toml")); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := reltool(t.Context(), "init"); code != 0 {
		t.Fatal(errs)
	}
	if info, _ := os.Stat(victim); info.Mode().Perm() != 0o666 {
		t.Errorf("the mode of another file is %v now", info.Mode())
	}
}

func TestTrustHasAWayBackFromEverything(t *testing.T) {
	dir, id := initiatedInstance(t)
	run := func(line string, want int, text string) {
		t.Helper()
		code, out, errs := reltool(t.Context(), line)
		if code != want || !strings.Contains(out+errs, text) {
			t.Fatalf("%s: %d %q %q, want %d ...%s...", line, code, out, errs, want, text)
		}
	}
	run("trust list", 0, string(id)+"  trusted, signs here")
	run("trust", 0, "KEY")
	run("trust remove "+string(id), 0, "to trust it again: reltool init")
	run("trust list", 0, "no key is trusted")
	run("init", 0, "the key "+string(id)+" is trusted again")
	run("trust remove FFFFFFFFFFFFFFFF", 1, "no such key is trusted here")
	run("trust remove it", 2, "is no id of a key")
	run("trust add /no/such", 1, "no such file")
	run("trust add "+filepath.Join(dir, "releases"), 1, "")

	run("trust revoke "+strings.ToLower(string(id)), 0, "make another one: reltool init --new")
	run("trust list", 0, "revoked")
	run("init", 1, "reltool init --new")
	if _, err := (&tool{dir: dir}).signer(""); err == nil || !strings.Contains(err.Error(), "was revoked") {
		t.Fatalf("a revoked key signs: %v", err)
	}
	run("init --new", 0, "made the key ")
	run("trust list", 0, "trusted, signs here")
	if _, err := (&tool{dir: dir}).signer(""); err != nil {
		t.Fatal(err)
	}
}

func TestTrustTakesAKeyFromAnotherMachine(t *testing.T) {
	_, id := initiatedInstance(t)
	_, pub, _ := reltool(t.Context(), "trust key")
	file := filepath.Join(t.TempDir(), "laptop.pub")
	if err := os.WriteFile(file, []byte(pub), 0o600); err != nil {
		t.Fatal(err)
	}
	initiatedInstance(t)
	for range 2 {
		if code, out, errs := reltool(t.Context(), "trust add "+file); code != 0 || out != "key "+string(id)+" is trusted\n" {
			t.Fatalf("%d %q %q", code, out, errs)
		}
	}
	var keys []trust.Key
	_, out, _ := reltool(t.Context(), "trust list --json")
	if err := json.Unmarshal([]byte(out), &keys); err != nil || len(keys) != 2 {
		t.Fatalf("%q %v", out, err)
	}
	if local := keys[0].Local != keys[1].Local; !local {
		t.Errorf("%+v: one of them signs here", keys)
	}
	for _, line := range []string{"init --json", "trust key --json", "trust revoke " + string(id) + " --json", "trust remove " + string(id) + " --json"} {
		if code, out, errs := reltool(t.Context(), line); code != 0 || !json.Valid([]byte(out)) {
			t.Errorf("%s: %d %q %q", line, code, out, errs)
		}
	}
}

func TestNothingIsBuiltWithoutAKey(t *testing.T) {
	d := t.TempDir()
	t.Setenv(control.EnvDir, d)
	if err := os.Mkdir(filepath.Join(d, "s"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d, "s", manifestName), []byte("name = \"s\"\nversion = \"1.0.0\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs := reltool(t.Context(), "build --out "+d+" "+filepath.Join(d, "s"))
	if code != 1 || !strings.Contains(errs, "there is no key to sign with") || !strings.Contains(errs, "make one: reltool init") {
		t.Errorf("%d %q", code, errs)
	}
	code, _, errs = reltool(t.Context(), "trust key")
	if code != 1 || !strings.Contains(errs, "make one: reltool init") {
		t.Errorf("%d %q", code, errs)
	}
}

func TestKeyOfAFileSigns(t *testing.T) {
	dir, id := initiatedInstance(t)
	file := filepath.Join(t.TempDir(), "k")
	text, err := os.ReadFile(trust.Of(dir).LocalKey())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	other := &tool{dir: t.TempDir()}
	if by, err := other.signer(file); err != nil || by.Key.Public().ID != id {
		t.Errorf("%v %v", by.Key.Public(), err)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := other.signer(file); err == nil || asError(err).Hint != "chmod 600 "+file {
		t.Errorf("a key that all can read: %+v", err)
	}
}
