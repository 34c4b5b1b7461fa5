package watch

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	kernel "github.com/theseusd/theseus/sdk/watch"
	"github.com/theseusd/theseus/upgrades/release"
)

// taker is a Handler that remembers, and answers as it is told.
type taker struct {
	mu    sync.Mutex
	calls [][]string
	came  chan struct{}
	say   map[string]error // by file name
}

func newTaker() *taker { return &taker{came: make(chan struct{}, 100), say: map[string]error{}} }

func (k *taker) handle(_ context.Context, paths []string) map[string]error {
	k.mu.Lock()
	defer k.mu.Unlock()
	refused := map[string]error{}
	var names []string
	for _, p := range paths {
		names = append(names, filepath.Base(p))
		if err := k.say[filepath.Base(p)]; err != nil {
			refused[p] = err
		}
	}
	k.calls = append(k.calls, names)
	k.came <- struct{}{}
	return refused
}

// answer is what it says of a package from now on.
func (k *taker) answer(name string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.say[name] = err
}

// all is what was handled so far: one call a line.
func (k *taker) all() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var lines []string
	for _, c := range k.calls {
		lines = append(lines, strings.Join(c, " "))
	}
	return strings.Join(lines, "\n")
}

// settled runs a folder as watched does and returns when its first reading is over.
func settled(t *testing.T, k *taker, f *Folder) {
	t.Helper()
	seed := filepath.Join(f.Dir, "seed-1.0.0.tpk")
	put(t, seed, "")
	f.Handle = k.handle
	watched(t, f)
	k.wait(t)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls = nil
}

// watched runs a folder with the kernel's own events.
func watched(t *testing.T, f *Folder) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- f.Run(ctx, func() { close(ready) }) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	})
	<-ready
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (k *taker) wait(t *testing.T) {
	t.Helper()
	select {
	case <-k.came:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was handled")
	}
}

func TestRenamedFileIsHandledOnce(t *testing.T) {
	dir, k := t.TempDir(), newTaker()
	settled(t, k, &Folder{Dir: dir})
	put(t, filepath.Join(dir, ".x"), "package")
	if err := os.Rename(filepath.Join(dir, ".x"), filepath.Join(dir, "visits-2.0.0.tpk")); err != nil {
		t.Fatal(err)
	}
	k.wait(t)
	put(t, filepath.Join(dir, "cache-1.0.0.tpk"), "another")
	k.wait(t)
	if got := k.all(); got != "visits-2.0.0.tpk\ncache-1.0.0.tpk" {
		t.Errorf("got %q", got)
	}
}

func TestFileBeingCopiedIsNotRefused(t *testing.T) {
	dir, k := t.TempDir(), newTaker()
	settled(t, k, &Folder{Dir: dir, Settle: 200 * time.Millisecond})
	k.answer("visits-2.0.0.tpk", &release.RejectError{File: "visits-2.0.0.tpk", Reason: "it is truncated"})
	path := filepath.Join(dir, "visits-2.0.0.tpk")
	put(t, path, "half")
	k.wait(t)
	k.answer("visits-2.0.0.tpk", nil)
	put(t, path, "half and half")
	k.wait(t)
	if got := k.all(); got != "visits-2.0.0.tpk\nvisits-2.0.0.tpk" {
		t.Errorf("got %q", got)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("it was set aside: %v", err)
	}
}

func TestPackagesThatComeTogetherAreHandledTogether(t *testing.T) {
	dir, k := t.TempDir(), newTaker()
	settled(t, k, &Folder{Dir: dir, Gather: 300 * time.Millisecond})
	for _, name := range []string{"visits-10.0.0.tpk", "visits-9.0.0.tpk", "cache-1.0.0.tpk"} {
		put(t, filepath.Join(dir, name), name)
	}
	k.wait(t)
	if got := k.all(); got != "cache-1.0.0.tpk visits-9.0.0.tpk visits-10.0.0.tpk" {
		t.Errorf("got %q", got)
	}
}

func TestOtherNamesAreIgnored(t *testing.T) {
	dir, k := t.TempDir(), newTaker()
	others := []string{"README.md", ".visits-2.0.0.tpk", "visits-2.0.0.tpk.minisig", "visits-2.0.0.tpk.part"}
	for _, name := range others {
		put(t, filepath.Join(dir, name), name)
	}
	for _, name := range []string{"rejected", "visits-3.0.0.tpk"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	put(t, filepath.Join(dir, "rejected", "visits-4.0.0.tpk"), "")
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "visits-5.0.0.tpk")); err != nil {
		t.Fatal(err)
	}
	settled(t, k, &Folder{Dir: dir, Settle: time.Nanosecond})
	for _, name := range others {
		put(t, filepath.Join(dir, name), name+" again")
	}
	put(t, filepath.Join(dir, "zebra-1.0.0.tpk"), "")
	k.wait(t)
	if got := k.all(); got != "zebra-1.0.0.tpk" {
		t.Errorf("got %q", got)
	}
}

func TestRefusedPackageIsSetAside(t *testing.T) {
	dir, k := t.TempDir(), newTaker()
	k.answer("visits-2.0.0.tpk", &release.RejectError{File: "visits-2.0.0.tpk", Reason: "it is truncated"})
	settled(t, k, &Folder{Dir: dir, Settle: 50 * time.Millisecond})
	put(t, filepath.Join(dir, "visits-2.0.0.tpk"), "half")
	k.wait(t)
	k.wait(t)                                         // again, when nobody has touched it any more
	put(t, filepath.Join(dir, "zebra-1.0.0.tpk"), "") // handled after the other one was set aside
	k.wait(t)
	if _, err := os.Stat(filepath.Join(dir, "visits-2.0.0.tpk")); !os.IsNotExist(err) {
		t.Errorf("it is still in the folder: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "rejected", "visits-2.0.0.tpk.reason"))
	if err != nil || !strings.Contains(string(text), "it is truncated") {
		t.Errorf("the reason is %q, %v", text, err)
	}
}

func TestMisnamedPackageIsSetAside(t *testing.T) {
	dir, k := t.TempDir(), newTaker()
	settled(t, k, &Folder{Dir: dir, Settle: 50 * time.Millisecond})
	put(t, filepath.Join(dir, "foo.tpk"), "a package")
	reason := filepath.Join(dir, "rejected", "foo.tpk.reason")
	deadline := time.Now().Add(10 * time.Second)
	for {
		text, err := os.ReadFile(reason)
		if err == nil && strings.Contains(string(text), "NAME-VERSION.tpk") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the reason is %q, %v", text, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if got := k.all(); got != "" {
		t.Errorf("handled %q", got)
	}
}

func TestGoodPackageClearsItsRejectedTwin(t *testing.T) {
	dir, k := t.TempDir(), newTaker()
	rejected := filepath.Join(dir, "rejected")
	if err := os.Mkdir(rejected, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"visits-2.0.0.tpk", "visits-2.0.0.tpk.reason", "visits-3.0.0.tpk"} {
		put(t, filepath.Join(rejected, name), "")
	}
	settled(t, k, &Folder{Dir: dir})
	put(t, filepath.Join(dir, "visits-2.0.0.tpk"), "good")
	k.wait(t)
	put(t, filepath.Join(dir, "zebra-1.0.0.tpk"), "") // handled after the other one
	k.wait(t)
	left, err := os.ReadDir(rejected)
	if err != nil || len(left) != 1 || left[0].Name() != "visits-3.0.0.tpk" {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestFolderThatWasReplacedIsWatchedAgain(t *testing.T) {
	dir, k := filepath.Join(t.TempDir(), "releases"), newTaker()
	watched(t, &Folder{Dir: dir, Handle: k.handle, Every: 20 * time.Millisecond, Settle: time.Nanosecond})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the folder was not made again")
		}
		time.Sleep(5 * time.Millisecond)
	}
	put(t, filepath.Join(dir, "visits-2.0.0.tpk"), "")
	k.wait(t)
}

// silent is a source that tells nothing by itself.
type silent struct{ events chan kernel.Event }

func (s *silent) Events() <-chan kernel.Event { return s.events }
func (s *silent) Err() error                  { return nil }
func (s *silent) Ensure() error               { return nil }
func (s *silent) Close() error                { return nil }

// inBubble runs a folder without a kernel, in virtual time that begins at the real one.
func inBubble(t *testing.T, f *Folder) *silent {
	src := &silent{events: make(chan kernel.Event)}
	probe := filepath.Join(t.TempDir(), "probe")
	put(t, probe, "") // the clock of the file system is not the bubble's
	info, err := os.Stat(probe)
	if err != nil {
		t.Fatal(err)
	}
	real := touched(info)
	began := time.Now()
	f.now = func() time.Time { return real.Add(time.Since(began)) }
	f.open = func(string) (source, error) { return src, nil }
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	go func() { _ = f.Run(ctx, func() {}) }()
	t.Cleanup(func() { stop(); synctest.Wait() })
	return src
}

func TestReadingAtStartAndEveryThirtySeconds(t *testing.T) {
	dir, k := t.TempDir(), newTaker()
	put(t, filepath.Join(dir, "visits-1.0.0.tpk"), "")
	synctest.Test(t, func(t *testing.T) {
		k.came = make(chan struct{}, 100)
		inBubble(t, &Folder{Dir: dir, Handle: k.handle})
		synctest.Wait()
		if got := k.all(); got != "visits-1.0.0.tpk" {
			t.Fatalf("at start: %q", got)
		}
		put(t, filepath.Join(dir, "visits-2.0.0.tpk"), "")
		time.Sleep(29 * time.Second)
		synctest.Wait()
		if got := k.all(); got != "visits-1.0.0.tpk" {
			t.Fatalf("read again too early: %q", got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := k.all(); got != "visits-1.0.0.tpk\nvisits-2.0.0.tpk" {
			t.Fatalf("after an hour: %q", got)
		}
	})
}

func TestWhatMayStillBeCopiedIsNotSetAside(t *testing.T) {
	dir, k := t.TempDir(), newTaker()
	path := filepath.Join(dir, "visits-1.0.0.tpk")
	put(t, path, "half")
	k.say["visits-1.0.0.tpk"] = &release.RejectError{Reason: "it is truncated"}
	synctest.Test(t, func(t *testing.T) {
		k.came = make(chan struct{}, 100)
		inBubble(t, &Folder{Dir: dir, Handle: k.handle})
		synctest.Wait()
		if _, err := os.Stat(path); err != nil || k.all() != "visits-1.0.0.tpk" {
			t.Fatalf("handled %q, then %v", k.all(), err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Fatalf("nobody touches it any more, and it is still there: %v", err)
		}
	})
}

// logged is a log that can be read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestNothingIsTakenWhileTheInstanceIsUnsafe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logged
		var mended atomic.Bool
		unsafe := errors.New("others can write to it")
		k, f := newTaker(), &Folder{Dir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&log, nil))}
		f.Handle, f.Safe = k.handle, func() error {
			if mended.Load() {
				return nil
			}
			return unsafe
		}
		put(t, filepath.Join(f.Dir, "visits-1.0.0.tpk"), "")
		src := inBubble(t, f)
		src.events <- kernel.Event{Name: "visits-1.0.0.tpk", Come: true}
		time.Sleep(3 * DefaultEvery)
		synctest.Wait()
		if got := k.all(); got != "" {
			t.Errorf("handled %q", got)
		}
		if n := strings.Count(log.String(), "takes nothing"); n != 1 || !strings.Contains(log.String(), unsafe.Error()) {
			t.Errorf("the log has it %d times: %s", n, log.String())
		}
		mended.Store(true)
		time.Sleep(DefaultEvery)
		synctest.Wait()
		if got := k.all(); got != "visits-1.0.0.tpk" {
			t.Errorf("handled %q once it is safe", got)
		}
	})
}

func TestOverflowReadsTheFolderAtOnce(t *testing.T) {
	dir, k := t.TempDir(), newTaker()
	synctest.Test(t, func(t *testing.T) {
		k.came = make(chan struct{}, 100)
		src := inBubble(t, &Folder{Dir: dir, Handle: k.handle})
		synctest.Wait()
		put(t, filepath.Join(dir, "visits-1.0.0.tpk"), "")
		time.Sleep(3 * time.Second)
		src.events <- kernel.Event{Lost: true}
		synctest.Wait()
		if got := k.all(); got != "visits-1.0.0.tpk" {
			t.Fatalf("got %q", got)
		}
	})
}

func TestWithoutTheKernelTheFolderIsStillRead(t *testing.T) {
	for name, open := range map[string]func() (source, error){
		"it never told": func() (source, error) { return nil, errors.New("too many watches") },
		"it ended": func() (source, error) {
			src := &silent{events: make(chan kernel.Event)}
			close(src.events)
			return src, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, k := t.TempDir(), newTaker()
			watched(t, &Folder{
				Dir: dir, Handle: k.handle, Every: 10 * time.Millisecond,
				open: func(string) (source, error) { return open() },
			})
			put(t, filepath.Join(dir, "visits-1.0.0.tpk"), "")
			k.wait(t)
		})
	}
}

func TestFailureIsTriedAgainAndThenNoMore(t *testing.T) {
	dir, k := t.TempDir(), newTaker()
	put(t, filepath.Join(dir, "visits-1.0.0.tpk"), "")
	k.say["visits-1.0.0.tpk"] = errors.New("disk full")
	synctest.Test(t, func(t *testing.T) {
		k.came = make(chan struct{}, 100)
		inBubble(t, &Folder{Dir: dir, Handle: k.handle})
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if got := k.all(); got != "visits-1.0.0.tpk\nvisits-1.0.0.tpk" {
			t.Fatalf("got %q", got)
		}
		k.mu.Lock()
		clear(k.say)
		k.mu.Unlock()
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := strings.Count(k.all(), "visits"); got != 3 {
			t.Fatalf("handled %d times", got)
		}
	})
}

func TestSplit(t *testing.T) {
	for file, want := range map[string]string{
		"visits-2.0.0.tpk":       "visits 2.0.0",
		"visits-2.0.1-bad.tpk":   "visits 2.0.1-bad",
		"my-cache-1.2.3+b.tpk":   "my-cache 1.2.3+b",
		"a-1-2.0.0.tpk":          "",
		"visits-2.0.tpk":         "",
		"visits-v2.0.0.tpk":      "",
		"visits-2.0.0.tpk.part":  "",
		".visits-2.0.0.tpk":      "",
		"-2.0.0.tpk":             "",
		"Visits-2.0.0.tpk":       "",
		"visits-02.0.0.tpk":      "",
		"../visits-2.0.0.tpk":    "",
		"visits-2.0.0 copy.tpk":  "",
		"visits-2.0.0-beta.tpk":  "visits 2.0.0-beta",
		"visits-2.0.0.tpk.minis": "",
	} {
		got := ""
		if name, v, ok := split(file); ok {
			got = name + " " + v.String()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", file, got, want)
		}
	}
}
