package durable

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func alone(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the file there is something: %v, %v", entries, err)
	}
}

func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes")
	for _, text := range []string{"first", "second", ""} {
		if err := Replace(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got := content(t, path); got != text {
			t.Errorf("%q, not %q", got, text)
		}
		alone(t, path)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestReplaceThatFailsLeavesTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes")
	if err := Replace(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	err := Replace(path, []byte("new"), func(f *os.File) error {
		if got := content(t, f.Name()); got != "new" {
			t.Errorf("prepared with %q", got)
		}
		if got := content(t, path); got != "old" {
			t.Errorf("while it is prepared the file has %q", got)
		}
		return refused
	})
	if !errors.Is(err, refused) || content(t, path) != "old" {
		t.Errorf("%v, %q", err, content(t, path))
	}
	alone(t, path)
}

// The other end of a link is somebody else's.
func TestReplaceFollowsNoLink(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other")
	path := filepath.Join(t.TempDir(), "notes")
	if err := errors.Join(os.WriteFile(other, []byte("theirs"), 0o600), os.Symlink(other, path), Replace(path, []byte("ours"))); err != nil {
		t.Fatal(err)
	}
	if content(t, path) != "ours" || content(t, other) != "theirs" {
		t.Errorf("%q, %q", content(t, path), content(t, other))
	}
}

func TestReplaceWhereThereIsNoDirectory(t *testing.T) {
	if err := Replace(filepath.Join(t.TempDir(), "none", "notes"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestSweep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes")
	left, err := os.CreateTemp(filepath.Dir(path), pattern(path)) // the process ended here
	if err := errors.Join(err, left.Close(), Replace(path, []byte("text")), Sweep(path)); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); got != "text" {
		t.Errorf("%q", got)
	}
	alone(t, path)
}
