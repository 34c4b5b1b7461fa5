package watch

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// However a file is replaced, whoever watches it looks again.
func TestFileIsLookedAtWhenItIsReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "policies.toml")
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("policies.toml", "0")
	ctx, stop := context.WithCancel(t.Context())
	seen, ended := make(chan string, 100), make(chan bool)
	go func() {
		defer close(ended)
		File(ctx, path, func() {
			text, _ := os.ReadFile(path)
			seen <- string(text)
		})
	}()
	until := func(want string, change func()) {
		t.Helper()
		late := time.After(10 * time.Second)
		for again := time.NewTicker(200 * time.Millisecond); ; { // the first change may come before the watch
			change()
			select {
			case text := <-seen:
				if text == want {
					again.Stop()
					return
				}
			case <-again.C:
			case <-late:
				t.Fatalf("nobody looked at %q", want)
			}
		}
	}
	until("written", func() { write("policies.toml", "written") })
	until("renamed", func() {
		write("other", "renamed")
		if err := os.Rename(filepath.Join(dir, "other"), path); err != nil {
			t.Fatal(err)
		}
	})
	stop()
	<-ended
}

// Whoever watched a file heard nothing for up to half a minute after the kernel had failed to tell.
func TestFileIsWatchedAnewWhenTheWatchFails(t *testing.T) {
	dir := t.TempDir()
	w := &fileWatch{dir: dir}
	ctx, stop := context.WithTimeout(t.Context(), every/2)
	defer stop()
	looks := 0
	w.run(ctx, func() {
		switch looks++; looks {
		case 1:
			if err := w.folder.watcher.Close(); err != nil { // as if the kernel had
				t.Error(err)
			}
		case 2:
			if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
				t.Error(err)
			}
		case 3:
			stop()
		}
	})
	if looks != 3 {
		t.Errorf("it was looked at %d times", looks)
	}
}

// The end of a watch took the kernel 5 to 20 ms, and a service that was upgraded served nobody meanwhile.
func TestTheEndOfAWatchIsNotWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policies.toml")
	var took []time.Duration
	for range 20 {
		ctx, stop := context.WithCancel(t.Context())
		looked, ended := make(chan bool, 1), make(chan bool)
		go func() {
			defer close(ended)
			File(ctx, path, func() { looked <- true })
		}()
		<-looked // the folder is watched
		began := time.Now()
		stop()
		<-ended
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	if median := took[len(took)/2]; median > 2*time.Millisecond {
		t.Errorf("it took %v", median)
	}
}
