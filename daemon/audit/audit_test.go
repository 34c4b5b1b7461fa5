package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/sdk/control"
)

// book is a journal.
type book struct {
	mu   sync.Mutex
	list []control.Event
	seq  uint64
}

func (b *book) add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range n {
		b.seq++
		b.list = append(b.list, control.Event{Seq: b.seq, Time: time.Now().UTC(), Kind: "built"})
	}
}

func (b *book) Since(seq uint64) []control.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.list[min(int(seq), len(b.list)):])
}

// during runs a log over what f does, until everything is written.
func during(path string, b *book, size int64, f func(l *Log)) {
	l := Open(Options{Path: path, Size: size})
	go l.Run(b)
	f(l)
	l.Close()
}

// lines reads all files of a log, the oldest first; each line must be an event.
func lines(t *testing.T, path string) (list []control.Event) {
	t.Helper()
	for n := files; n >= 0; n-- {
		name := (&file{path: path}).name(n)
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			var e control.Event
			if err := json.Unmarshal(s.Bytes(), &e); err != nil {
				t.Errorf("%s: %v: %q", name, err, s.Text())
			}
			list = append(list, e)
		}
		_ = f.Close()
	}
	return list
}

// exactly checks that the records from..to are there once each.
func exactly(t *testing.T, list []control.Event, from, to int) {
	t.Helper()
	count := map[uint64]int{}
	for _, e := range list {
		count[e.Seq]++
	}
	for seq := from; seq <= to; seq++ {
		if count[uint64(seq)] != 1 {
			t.Errorf("record %d is there %d times", seq, count[uint64(seq)])
		}
	}
}

func TestEveryRecordIsThereOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	b := &book{}
	b.add(maxBatch + 10) // from before there was a log
	for range 3 {
		during(path, b, 0, func(l *Log) {
			l.Note(control.Event{Kind: Crashed, Service: "visits"})
			b.add(5)
			l.Wake()
		})
	}
	list := lines(t, path)
	exactly(t, list, 1, len(b.list))
	if want := len(b.list) + 3; len(list) != want {
		t.Errorf("%d lines, want %d", len(list), want)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
}

func TestWhatACrashHasTornIsMended(t *testing.T) {
	whole := func(text string) []string { return strings.SplitAfter(text, "\n") }
	for name, harm := range map[string]func(text string) string{
		"half a line":          func(text string) string { return text[:len(text)-9] },
		"no line end":          func(text string) string { return strings.TrimSuffix(text, "\n") },
		"zeros of a new block": func(text string) string { return text[:len(text)-30] + strings.Repeat("\x00", 500) },
		"a bad last line":      func(text string) string { return text[:len(text)-30] + "\x00\x01\n" },
		"a hole in the middle": func(text string) string {
			l := whole(text)
			return strings.Join(append(l[:3:3], l[6:]...), "")
		},
		"a bad line in the middle": func(text string) string {
			l := whole(text)
			l[4] = "garbage\n"
			return strings.Join(l, "")
		},
		"only half a line": func(text string) string { return text[:20] },
		"nothing":          func(string) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			b := &book{}
			b.add(10)
			during(path, b, 0, func(*Log) {})
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(harm(string(text))), 0o600); err != nil {
				t.Fatal(err)
			}
			during(path, b, 0, func(*Log) { b.add(1) })
			during(path, b, 0, func(*Log) {})
			text, err = os.ReadFile(path)
			if err != nil || !strings.HasSuffix(string(text), "\n") {
				t.Errorf("%v: the end is %q", err, text[max(len(text)-20, 0):])
			}
			if name == "a bad line in the middle" {
				text = []byte(strings.Replace(string(text), "garbage\n", "", 1))
				_ = os.WriteFile(path, text, 0o600)
			}
			exactly(t, lines(t, path), 1, 11)
		})
	}
}

func TestFilesAreRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	b := &book{}
	for range 40 {
		during(path, b, 2000, func(l *Log) { b.add(10); l.Wake() })
	}
	var names []string
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, _ := e.Info()
		if names = append(names, e.Name()); info.Size() > 2000 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has %d bytes, %v", e.Name(), info.Size(), info.Mode())
		}
	}
	if got := strings.Join(names, " "); got != "audit.jsonl audit.jsonl.1 audit.jsonl.2 audit.jsonl.3" {
		t.Errorf("got %s", got)
	}
	list := lines(t, path)
	exactly(t, list, int(list[0].Seq), 400)
	if list[0].Seq == 1 {
		t.Error("nothing has gone")
	}
}

func TestFileThatIsTakenAwayIsMadeAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	b := &book{}
	w := &writer{Log: Open(Options{Path: path}), journal: b}
	b.add(1)
	w.write()
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	b.add(1)
	w.write()
	exactly(t, lines(t, path), 2, 2)
}

// A disk that refuses costs nothing of the journal, and of the rest only what does not fit into the queue.
func TestDiskThatRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "none", "audit.jsonl")
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		l := Open(Options{Path: path})
		go l.Run(b)
		b.add(3)
		for n := range maxQueue + 30 {
			l.Note(control.Event{Kind: Crashed, Service: fmt.Sprint(n)})
			l.Wake()
		}
		synctest.Wait()
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * retry)
		l.Close()
	})
	list := lines(t, path)
	exactly(t, list, 1, 3)
	var lost string
	for _, e := range list {
		if e.Kind == Lost {
			lost += e.Text
		}
	}
	if want := "30 lines were lost: the disk did not take them"; lost != want || len(list) != 3+maxQueue+1 {
		t.Errorf("got %q in %d lines, want %q", lost, len(list), want)
	}
}

// dropping is a journal that has dropped its oldest records; the last of them says so.
type dropping struct{ book }

func (d *dropping) drop(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = d.list[n-1:]
	d.list[0].Kind = "dropped"
}

func (d *dropping) Since(seq uint64) (list []control.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.list {
		if e.Seq > seq {
			list = append(list, e)
		}
	}
	return list
}

// The disk refuses for so long that the journal drops what was not written: that is said, once, and all else has one line.
func TestJournalDropsRecordsWhileTheDiskRefuses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	w := &writer{Log: Open(Options{Path: filepath.Join(dir, "audit.jsonl")})}
	b := &dropping{}
	w.journal = b
	b.add(1000)
	w.write()
	b.drop(700)
	w.write()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w.write()
	b.add(5)
	w.write()
	list := lines(t, w.file.path)
	exactly(t, list, 700, 1005)
	if want := "records 1 to 700 have no line: the journal has dropped them, and no file of the audit log has them"; list[0].Text != want || len(list) != 1+306 {
		t.Errorf("%q, and %d lines", list[0].Text, len(list))
	}
	again := &writer{Log: Open(Options{Path: w.file.path}), journal: b} // the next daemon adds nothing
	again.write()
	if n := len(lines(t, w.file.path)); n != len(list) {
		t.Errorf("%d lines", n)
	}
}

// Who takes the files away is not told that the disk had refused the lines.
func TestFilesThatWereTakenAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	w := &writer{Log: Open(Options{Path: path})}
	b := &dropping{}
	w.journal = b
	b.add(10)
	w.write()
	b.drop(7)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	again := &writer{Log: Open(Options{Path: path}), journal: b}
	again.write()
	list := lines(t, path)
	if got := list[0].Text; !strings.HasPrefix(got, "records 1 to 7 have no line") || strings.Contains(got, "disk") {
		t.Errorf("%q", got)
	}
}

// Whole lines of what was written in part are taken back too, be it later.
func TestLinesOfAWriteThatFailedAreNotWrittenTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	b := &book{}
	w := &writer{Log: Open(Options{Path: path}), journal: b}
	b.add(1)
	w.write()
	b.add(3)
	text, err := encode(b.Since(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.file.f.Write(text[:len(text)-5]); err != nil { // and then the disk refuses, the truncation too
		t.Fatal(err)
	}
	w.file.torn = true
	w.write()
	list := lines(t, path)
	exactly(t, list, 1, 4)
}

// A rotation that failed half-way goes on where it was, and costs no file.
func TestRotationThatFailedGoesOn(t *testing.T) {
	f := newFile(filepath.Join(t.TempDir(), "log"), 100)
	for _, n := range []int{0, 2, 3} {
		if err := os.WriteFile(f.name(n), fmt.Append(nil, n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"023", "1023"} {
		if err := f.rotate(); err != nil {
			t.Fatal(err)
		}
		var got string
		for n := 1; n < files; n++ {
			text, _ := os.ReadFile(f.name(n))
			got += string(text)
		}
		if got != want[:3] {
			t.Errorf("the older files are %q, want %q", got, want[:3])
		}
		if err := os.WriteFile(f.name(0), []byte("1"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A limit of the size is how a full disk looks: the line is written in part, and taken back.
func TestLineThatDidNotFitIsTakenBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	b := &book{}
	w := &writer{Log: Open(Options{Path: path}), journal: b}
	b.add(5000) // so that no other file of this process meets the limit
	w.write()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	b.add(1)
	full := unix.Rlimit{Cur: uint64(info.Size()) + 10, Max: before.Max}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &full); err != nil {
		t.Fatal(err)
	}
	_, err = w.batch()
	if rerr := unix.Setrlimit(unix.RLIMIT_FSIZE, &before); rerr != nil {
		t.Fatal(rerr)
	}
	if !errors.Is(err, unix.EFBIG) {
		t.Fatalf("got %v", err)
	}
	if now, _ := os.Stat(path); now.Size() != info.Size() {
		t.Errorf("%d bytes, were %d", now.Size(), info.Size())
	}
	w.write()
	exactly(t, lines(t, path), 1, 5001)
}

func TestServiceThatCrashesAllTheTimeDoesNotFillTheLog(t *testing.T) {
	s := sieve{}
	var kept []string
	at := time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
	for range 24 * 3600 {
		at = at.Add(time.Second)
		for _, kind := range []string{Crashed, Restarted} {
			if e := (control.Event{Kind: kind, Service: "visits", Time: at, Text: "1.0.0"}); s.pass(&e) {
				kept = append(kept, e.Text)
			}
		}
	}
	if n := len(kept); n < 2*24*60 || n > 2*(24*60+burst) {
		t.Errorf("%d lines in a day", n)
	}
	if last := kept[len(kept)-1]; last != "1.0.0 (59 more like this since the line before)" {
		t.Errorf("got %q", last)
	}
}

func TestClockThatIsSetBackHoldsNothingUp(t *testing.T) {
	s, now := sieve{}, time.Now()
	for range 2 * burst {
		s.pass(&control.Event{Kind: Crashed, Service: "visits", Time: now})
	}
	before := now.AddDate(-1, 0, 0)
	s.pass(&control.Event{Kind: Crashed, Service: "visits", Time: before})
	if !s.pass(&control.Event{Kind: Crashed, Service: "visits", Time: before.Add(burstRest)}) {
		t.Error("a crash is held back until the clock is where it was")
	}
}

func TestEventsAreInTheOrderOfTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	b := &book{}
	noon := time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
	b.list = []control.Event{{Seq: 1, Kind: "a", Time: noon}, {Seq: 2, Kind: "c", Time: noon.Add(2 * time.Second)}}
	during(path, b, 0, func(l *Log) { l.Note(control.Event{Kind: "b", Time: noon.Add(time.Second)}) })
	l := Open(Options{Path: path}) // the next daemon remembers
	go l.Run(b)
	defer l.Close()
	list, mark, changed := l.Events(Mark{})
	for len(list) < 3 { // until Run has the journal
		list, mark, changed = l.Events(Mark{})
	}
	l.Note(control.Event{Kind: "d", Time: noon.Add(3 * time.Second)})
	<-changed
	more, _, _ := l.Events(mark)
	var kinds []string
	for _, e := range append(list, more...) {
		kinds = append(kinds, e.Kind)
	}
	if got := strings.Join(kinds, ""); got != "abcd" {
		t.Errorf("got %s", got)
	}
}
