package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDirectoriesAreMadeAndPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if err := os.MkdirAll(filepath.Join(dir, ".theseus"), 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := Prepare(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, private := range []string{p.Private, p.Run, p.State, p.Store, p.Incoming} {
		if info, err := os.Stat(private); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v (%v)", private, info.Mode(), err)
		}
	}
	if _, err := Prepare(dir); err != nil {
		t.Errorf("the second time: %v", err)
	}
}

func TestLinksAreFollowedOnce(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if p, err := Prepare(link); err != nil || p.Dir != dir {
		t.Errorf("%s (%v), want %s", p.Dir, err, dir)
	}
}

func TestWhatIsNotSafeIsRefused(t *testing.T) {
	open := t.TempDir()
	releases := filepath.Join(open, "releases")
	if err := os.Mkdir(releases, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(releases, 0o777); err != nil {
		t.Fatal(err)
	}
	file := t.TempDir()
	if err := os.WriteFile(filepath.Join(file, ".theseus"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ dir, want string }{
		"drop folder open to all": {open, "writable for everybody"},
		"path too long":           {filepath.Join(t.TempDir(), strings.Repeat("long", 20)), "too long by"},
		"a file in the way":       {file, "no directory"},
	} {
		if _, err := Prepare(c.dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
