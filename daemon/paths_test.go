package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/theseusd/theseus/upgrades/trust"
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

func TestWhatCannotBeIsRefused(t *testing.T) {
	file := t.TempDir()
	if err := os.WriteFile(filepath.Join(file, ".theseus"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := t.TempDir()
	if err := os.Symlink(t.TempDir(), filepath.Join(link, ".theseus")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ dir, want string }{
		"path too long":     {filepath.Join(t.TempDir(), strings.Repeat("long", 20)), "too long by"},
		"a file in the way": {file, "no directory"},
		"a link in the way": {link, "no directory"},
	} {
		if _, err := Prepare(c.dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInstanceThatOthersCanWriteToIsNotFit(t *testing.T) {
	for name, c := range map[string]struct {
		path string
		mode os.FileMode
		hint string
	}{
		"releases/ for the world":  {"releases", 0o777, "chmod go-w "},
		"releases/ for a group":    {"releases", 0o775, "chmod go-w "},
		".theseus for a group":     {".theseus", 0o770, "chmod go-w "},
		"the store for the world":  {".theseus/store", 0o777, "chmod go-w "},
		"incoming for the world":   {".theseus/incoming", 0o703, "chmod go-w "},
		"trust for a group":        {".theseus/trust", 0o720, "chmod go-w "},
		"theseus.toml for a group": {"theseus.toml", 0o664, "chmod go-w "},
		"all of it for the world":  {".", 0o777, "chmod o-w "},
	} {
		t.Run(name, func(t *testing.T) {
			p := prepared(t)
			path := filepath.Join(p.Dir, c.path)
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			again, err := Prepare(p.Dir) // must not hide it
			if err != nil {
				t.Fatal(err)
			}
			unfit(t, again, path, "can be written to by", c.hint+path)
		})
	}
}

func TestInstanceOfSomebodyElseIsNotFit(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	for _, name := range []string{"releases", ".theseus", ".theseus/store", ".theseus/trust", "theseus.toml"} {
		p := prepared(t)
		path := filepath.Join(p.Dir, name)
		if err := os.Lchown(path, 12345, -1); err != nil {
			t.Fatal(err)
		}
		unfit(t, p, path, "belongs to user 12345", "chown")
	}
}

func TestInstanceInAStickyDirectoryIsFit(t *testing.T) {
	p := prepared(t)
	if err := os.Chmod(p.Dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if err := p.Check(); err != nil {
		t.Error(err)
	}
}

func prepared(t *testing.T) Paths {
	t.Helper()
	dir, err := os.MkdirTemp("", "th") // a test's own is too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p, err := Prepare(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.Config, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	return p
}

func unfit(t *testing.T, p Paths, path, reason, hint string) {
	t.Helper()
	var unsafe *trust.UnsafeError
	if err := p.Check(); !errors.As(err, &unsafe) || unsafe.Path != path ||
		!strings.Contains(unsafe.Reason, reason) || !strings.Contains(unsafe.Hint, hint) {
		t.Errorf("%s: %v, %+v", path, err, unsafe)
	}
}
