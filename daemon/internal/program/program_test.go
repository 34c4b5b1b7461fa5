package program

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// build makes a theseusd of a version.
func build(t *testing.T, version string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "theseusd")
	cmd := exec.Command("go", "build", "-o", path, "-ldflags",
		"-X github.com/theseusd/theseus/sdk/control.Version="+version, Main)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func TestWhatIsTakenIsACopyThatNobodyCanChange(t *testing.T) {
	if testing.Short() {
		t.Skip("it links a theseusd")
	}
	dir, path := filepath.Join(t.TempDir(), "d"), build(t, "7.8.9")
	p, err := Take(t.Context(), dir, path)
	if err != nil || p.Version != "7.8.9" || p.Path != filepath.Join(dir, p.Digest, name) {
		t.Fatalf("took %+v, %v", p, err)
	}
	if info, err := os.Stat(p.Path); err != nil || info.Mode().Perm() != 0o500 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if again, err := Take(t.Context(), dir, path); err != nil || again != p {
		t.Errorf("taken again it is %+v, %v", again, err)
	}
	// Cut short by a power loss, it is made anew.
	if err := errors.Join(os.Chmod(p.Path, 0o700), os.Truncate(p.Path, 100)); err != nil {
		t.Fatal(err)
	}
	if again, err := Take(t.Context(), dir, path); err != nil || again != p || !same(p.Path, p.Digest) {
		t.Errorf("after damage it is %+v, %v", again, err)
	}
	if err := pruned(t, dir, p); err != nil {
		t.Error(err)
	}
}

// pruned refuses the same program with an odd version, and prunes.
func pruned(t *testing.T, dir string, p Program) error {
	t.Helper()
	if _, err := Take(t.Context(), dir, build(t, "new")); err == nil || !strings.Contains(err.Error(), `its version "new" is none`) {
		t.Errorf("an odd version: %v", err)
	}
	own, err := Own(dir, "1.0.0")
	if err != nil {
		return err
	}
	if err := Prune(dir, p.Digest); err != nil {
		return err
	}
	left, err := os.ReadDir(dir)
	if len(left) != 1 || left[0].Name() != p.Digest || own.Digest == p.Digest {
		t.Errorf("left %v", left)
	}
	return err
}

func TestWhatIsNoTheseusdIsRefused(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "nowhere"): "no such file",
		dir:                           "no regular file",
		pipe:                          "no regular file",
		exe:                           "no theseusd",
		file("script", "#!/bin/sh\nsleep 60\n", 0o755): "no Go program",
		file("empty", "", 0o755):                       "no Go program",
		file("group", "x", 0o775):                      "its group or everybody can write to it",
		file("world", "x", 0o757):                      "its group or everybody can write to it",
	} {
		_, err := Take(t.Context(), filepath.Join(dir, "d"), path)
		var no *RefusedError
		if !errors.As(err, &no) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "d")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}
