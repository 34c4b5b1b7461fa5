package release

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/theseusd/theseus/upgrades/trust"
)

// addForEver plays the process that is killed: it adds and removes every package beside the store.
func addForEver(dir string, keys trust.Dir) error {
	s, err := OpenStore(filepath.Join(dir, "store"), keys)
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"+Extension))
	if err != nil || len(files) == 0 {
		return errors.Join(err, errors.New("no packages"))
	}
	fmt.Println("ready")
	for {
		for _, file := range files {
			p, err := s.Add(context.Background(), file)
			if err != nil {
				return err
			}
			if file != files[0] {
				err = s.Remove(p.Digest)
			}
			if err != nil {
				return err
			}
		}
	}
}

func TestKillLeavesOnlyWholePackages(t *testing.T) {
	dir := t.TempDir()
	for _, v := range []string{"1.0.0", "1.0.1"} {
		write(t, filepath.Join(dir, FileName("visits", v)), good("visits", v))
	}
	for after := range 12 {
		killAfter(t, dir, time.Duration(after)*4*time.Millisecond)
		s := swept(t, filepath.Join(dir, "store"))
		all, err := s.List()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range all {
			if _, err := s.Get(p.Digest); err != nil {
				t.Fatal(err)
			}
		}
		if entries, _ := os.ReadDir(s.dir); len(entries) != len(all) {
			t.Fatalf("%v beside %d packages", entries, len(all))
		}
	}
}

// swept opens the store until nothing temporary is left in it. A child that the killed process was just starting has its
// lock until it executes, and what is locked is not swept.
func swept(t *testing.T, dir string) *Store {
	t.Helper()
	for give := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		s, err := OpenStore(dir, keys)
		if err != nil {
			t.Fatal(err)
		}
		left, _ := filepath.Glob(filepath.Join(dir, tmpPrefix+"*"))
		if len(left) == 0 {
			return s
		}
		if time.Now().After(give) {
			t.Fatalf("never swept: %v", left)
		}
	}
}

// killAfter kills the process some time after it has begun.
func killAfter(t *testing.T, dir string, d time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "RELEASE_TEST_ADD="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if lines.Scan(); lines.Text() != "ready" {
		t.Fatal(lines.Text())
	}
	kill := time.AfterFunc(d, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	if lines.Scan() {
		t.Fatal(lines.Text())
	}
	_ = cmd.Wait()
}
