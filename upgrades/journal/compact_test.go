package journal

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// keep drops all but the last n records; its base names what was dropped.
func keep(n int) func(all []Record) ([]byte, uint64, error) {
	return func(all []Record) ([]byte, uint64, error) {
		if len(all) <= n {
			return nil, 0, nil
		}
		from := all[len(all)-n].Seq
		return fmt.Appendf(nil, "all up to %d", from-1), from, nil
	}
}

func wantRecords(t interface {
	Helper()
	Fatalf(string, ...any)
}, records []Record, want ...string,
) {
	t.Helper()
	var got []string
	for _, r := range records {
		text := fmt.Sprintf("%d %s", r.Seq, r.Payload)
		if r.Base {
			text = "base " + text
		}
		got = append(got, text)
	}
	if strings.Join(got, "; ") != strings.Join(want, "; ") {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestJournalDoesNotGrowForEver(t *testing.T) {
	path := temp(t)
	fill(t, path, "one", "two", "three", "four")
	j, _ := must(t, path)
	if err := j.Compact(keep(2)); err != nil {
		t.Fatal(err)
	}
	if seq, err := j.Append([]byte("five")); err != nil || seq != 5 {
		t.Fatalf("the number goes on at 5: %d, %v", seq, err)
	}
	want := []string{"base 2 all up to 2", "3 three", "4 four", "5 five"}
	records, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	wantRecords(t, records, want...)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	again, records := must(t, path)
	wantRecords(t, records, want...)
	if err := again.Compact(keep(1)); err != nil {
		t.Fatal(err)
	}
	if err := again.Compact(keep(9)); err != nil { // nothing to drop
		t.Fatal(err)
	}
	if records, err = Read(path); err != nil {
		t.Fatal(err)
	}
	wantRecords(t, records, "base 4 all up to 4", "5 five")
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v", info.Mode())
	}
}

func TestACompactionThatFailsChangesNothing(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		shorten func(all []Record) ([]byte, uint64, error)
		harm    func(path string) error
	}{
		"it does not want to": {shorten: func([]Record) ([]byte, uint64, error) { return nil, 0, boom }},
		"an empty base":       {shorten: func([]Record) ([]byte, uint64, error) { return nil, 2, nil }},
		"nothing would stay":  {shorten: func([]Record) ([]byte, uint64, error) { return []byte("x"), 4, nil }},
		"nothing would go":    {shorten: func([]Record) ([]byte, uint64, error) { return []byte("x"), 1, nil }},
		"no room beside it":   {shorten: keep(1), harm: func(path string) error { return os.Mkdir(path+newSuffix, 0o700) }},
	} {
		t.Run(name, func(t *testing.T) {
			path := temp(t)
			fill(t, path, "one", "two", "three")
			j, _ := must(t, path)
			if c.harm != nil {
				if err := c.harm(path); err != nil {
					t.Fatal(err)
				}
			}
			if err := j.Compact(c.shorten); err == nil {
				t.Fatal("no error")
			}
			if _, err := j.Append([]byte("four")); err != nil {
				t.Fatal(err)
			}
			records, err := Read(path)
			if err != nil {
				t.Fatal(err)
			}
			holds(t, records, "one", "two", "three", "four")
		})
	}
}

// A disk that is full before the shorter journal is whole leaves the longer one, and no half of a file.
func TestACompactionOnAFullDisk(t *testing.T) {
	path := temp(t)
	fill(t, path, "one", strings.Repeat("2", 5000), strings.Repeat("3", 5000))
	j, _ := must(t, path)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 4000, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	err := j.Compact(keep(1))
	if rerr := unix.Setrlimit(unix.RLIMIT_FSIZE, &before); rerr != nil {
		t.Fatal(rerr)
	}
	if !errors.Is(err, unix.EFBIG) {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Stat(path + newSuffix); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("half a file is left: %v", err)
	}
	if err := j.Compact(keep(1)); err != nil {
		t.Fatal(err)
	}
}

func TestWhatACutShortCompactionHasLeftIsRemoved(t *testing.T) {
	path := temp(t)
	fill(t, path, "one", "two")
	if err := os.WriteFile(path+newSuffix, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, records := must(t, path)
	holds(t, records, "one", "two")
	if _, err := os.Stat(path + newSuffix); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

// Who has opened the file before it was exchanged, and locks it when it is free, has a file that is no journal any more.
func TestOnlyTheFileThatHasTheNameCanBeLocked(t *testing.T) {
	path := temp(t)
	fill(t, path, "one", "two")
	early, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close() //nolint:errcheck // nothing was written
	j, _ := must(t, path)
	if err := j.Compact(keep(1)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := open(early, path); !errors.Is(err, ErrLocked) {
		t.Fatalf("the old file: %v, want %v", err, ErrLocked)
	}
	if _, _, err := Open(path); !errors.Is(err, ErrLocked) {
		t.Fatalf("the new file: %v, want %v", err, ErrLocked)
	}
}

// A base was on disk before it had the name: nothing of it can be torn.
func TestDamageOfABaseIsNeverTakenForATornTail(t *testing.T) {
	path := temp(t)
	j, _ := must(t, path)
	for i := range 3 {
		if _, err := j.Append(payload(i + 1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Compact(keep(1)); err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size := headerSize + len("all up to 2")
	for i := range size {
		for name, spoil := range map[string]func(b []byte){
			"a bit":       func(b []byte) { b[i] ^= 0x80 },
			"all till it": func(b []byte) { clear(b[:i+1]) },
		} {
			bad := append([]byte(nil), text...)
			spoil(bad)
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			var c *CorruptError
			if _, _, err := Open(path); !errors.As(err, &c) || c.Offset != 0 {
				t.Fatalf("%s at byte %d: %v", name, i, err)
			}
		}
	}
}

// Whatever is appended and dropped, and wherever the last record is torn, what was not dropped is there.
func TestCompactionsAndTearsInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "journal")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir) //nolint:errcheck // a directory for tests
		path := dir + "/journal"
		var want []string
		seq := 0
		for range rapid.IntRange(1, 8).Draw(t, "rounds") {
			j, records, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			wantRecords(t, records, want...)
			for range rapid.IntRange(0, 4).Draw(t, "appends") {
				seq++
				text := strings.Repeat("x", rapid.IntRange(1, 300).Draw(t, "size"))
				if _, err := j.Append([]byte(text)); err != nil {
					t.Fatal(err)
				}
				want = append(want, fmt.Sprintf("%d %s", seq, text))
			}
			if n := rapid.IntRange(0, 6).Draw(t, "keep"); n > 0 {
				if err := j.Compact(keep(n)); err != nil {
					t.Fatal(err)
				}
				if len(want) > n {
					want = append([]string{fmt.Sprintf("base %d all up to %d", seq-n, seq-n)}, want[len(want)-n:]...)
				}
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			tear(t, path)
		}
	})
}

// tear leaves the beginning of a record that was being written.
func tear(t *rapid.T, path string) {
	records, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	next := encode(nil, Record{Seq: last(records) + 1, Payload: []byte("torn")})
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(next[:rapid.IntRange(0, len(next)-1).Draw(t, "torn")])
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}
