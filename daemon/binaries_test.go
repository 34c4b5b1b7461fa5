package daemon

import (
	"os"
	"path/filepath"
	"testing"
)

// A daemon that was asked for another one just after its start answered "it is no Go program": it had removed the copy.
func TestCopyOfADaemonStaysWhileItIsMadeReady(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken")
	if err := os.Mkdir(taken, 0o700); err != nil {
		t.Fatal(err)
	}
	b := binaries{dir: dir}
	none := func() ([]string, error) { return nil, nil }
	end := b.use()
	if err := b.prune(none); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(taken); err != nil {
		t.Fatal("removed while in use:", err)
	}
	end()
	if err := b.prune(none); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(taken); !os.IsNotExist(err) {
		t.Fatal("it stays although nobody uses it:", err)
	}
}
