package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func temp(t *testing.T) string { return filepath.Join(t.TempDir(), "journal") }

func must(t *testing.T, path string) (*Journal, []Record) {
	t.Helper()
	j, records, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j, records
}

// fill writes a journal of the payloads and returns its bytes and where each record ends.
func fill(t *testing.T, path string, payloads ...string) (text []byte, ends []int64) {
	t.Helper()
	j, _ := must(t, path)
	for i, p := range payloads {
		if seq, err := j.Append([]byte(p)); err != nil || seq != uint64(i+1) {
			t.Fatalf("append: %d, %v", seq, err)
		}
		ends = append(ends, j.size)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text, ends
}

// holds fails the test unless the records are exactly the payloads, numbered from 1.
func holds(t interface {
	Helper()
	Fatalf(string, ...any)
}, records []Record, payloads ...string,
) {
	t.Helper()
	if len(records) != len(payloads) {
		t.Fatalf("%d records, want %d", len(records), len(payloads))
	}
	for i, r := range records {
		if r.Seq != uint64(i+1) || string(r.Payload) != payloads[i] {
			t.Fatalf("record %d is %d %q, want %q", i, r.Seq, r.Payload, payloads[i])
		}
	}
}

func TestWhatIsAppendedIsThere(t *testing.T) {
	path := temp(t)
	fill(t, path, `{"a":1}`, "b", strings.Repeat("x", MaxPayload))
	j, records := must(t, path)
	holds(t, records, `{"a":1}`, "b", strings.Repeat("x", MaxPayload))
	if seq, err := j.Append([]byte("next")); err != nil || seq != 4 {
		t.Fatalf("the number goes on at 4: %d, %v", seq, err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v", info.Mode())
	}
}

func TestPayloadHasASize(t *testing.T) {
	j, _ := must(t, temp(t))
	for _, n := range []int{0, MaxPayload + 1} {
		if _, err := j.Append(make([]byte, n)); !errors.Is(err, ErrPayload) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	if seq, err := j.Append([]byte("x")); err != nil || seq != 1 {
		t.Fatalf("a refused payload leaves nothing behind: %d, %v", seq, err)
	}
}

func TestTornTailIsCutAtEveryByte(t *testing.T) {
	payloads := []string{"one", "two and some more", `{"three":3}`}
	text, ends := fill(t, temp(t), payloads...)
	path := temp(t)
	for cut := range len(text) + 1 {
		whole := 0
		for whole < len(ends) && ends[whole] <= int64(cut) {
			whole++
		}
		if err := os.WriteFile(path, text[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		j, records := must(t, path)
		holds(t, records, payloads[:whole]...)
		if _, err := j.Append([]byte("after")); err != nil {
			t.Fatal(err)
		}
		_ = j.Close()
		again, records := must(t, path)
		holds(t, records, append(payloads[:whole:whole], "after")...)
		_ = again.Close()
	}
}

func TestTornTailOfZerosIsCut(t *testing.T) {
	text, ends := fill(t, temp(t), "one", strings.Repeat("2", 5000))
	for name, spoil := range map[string]func(b []byte){
		"the first page of the record": func(b []byte) { clear(b[ends[0]:4096]) },
		"its second page":              func(b []byte) { clear(b[4096:]) },
		"all of it":                    func(b []byte) { clear(b[ends[0]:]) },
	} {
		t.Run(name, func(t *testing.T) {
			bad := append([]byte(nil), text...)
			spoil(bad)
			path := temp(t)
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			_, records := must(t, path)
			holds(t, records, "one")
		})
	}
}

func TestDamageIsNeverTakenForATornTail(t *testing.T) {
	payloads := []string{"one", "two", "three"}
	text, ends := fill(t, temp(t), payloads...)
	path := temp(t)
	for i := range ends[1] {
		for _, bit := range []byte{0x01, 0x80} {
			bad := append([]byte(nil), text...)
			bad[i] ^= bit
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			wantCorrupt(t, path, bad, i, ends)
		}
	}
}

// wantCorrupt opens the file with a spoiled byte i: the error names the record it is in, and the file is untouched.
func wantCorrupt(t *testing.T, path string, text []byte, i int64, ends []int64) {
	t.Helper()
	start := int64(0)
	if i >= ends[0] {
		start = ends[0]
	}
	_, _, err := Open(path)
	var c *CorruptError
	if !errors.As(err, &c) || c.Offset != start || c.File != path {
		t.Fatalf("byte %d spoiled: %v, want corrupt at %d", i, err, start)
	}
	if after, _ := os.ReadFile(path); string(after) != string(text) {
		t.Fatalf("byte %d spoiled: the file was changed", i)
	}
}

func TestAForeignFileIsLeftAlone(t *testing.T) {
	for name, text := range map[string]string{
		"a text":           "dear diary, today I opened the wrong file\n",
		"zeros, too many":  strings.Repeat("\x00", headerSize+MaxPayload+1),
		"a record too far": string(encode(nil, Record{Seq: 2, Payload: []byte("x")})),
	} {
		t.Run(name, func(t *testing.T) {
			path := temp(t)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			var c *CorruptError
			if _, _, err := Open(path); !errors.As(err, &c) {
				t.Fatalf("err = %v", err)
			}
			if after, _ := os.ReadFile(path); string(after) != text {
				t.Fatal("the file was changed")
			}
		})
	}
}

func TestOneProcessHasTheFile(t *testing.T) {
	path := temp(t)
	j, _ := must(t, path)
	if _, _, err := Open(path); !errors.Is(err, ErrLocked) {
		t.Fatalf("second open: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	must(t, path)
}

func TestAfterCloseNothingIsWritten(t *testing.T) {
	path := temp(t)
	j, _ := must(t, path)
	_, sync, err := j.Write([]byte("late"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.Close(), j.Close()); err != nil {
		t.Fatal(err)
	}
	if err := sync(); err != nil {
		t.Fatalf("close has put it on disk already: %v", err)
	}
	if _, err := j.Append([]byte("x")); !errors.Is(err, ErrClosed) {
		t.Fatalf("append after close: %v", err)
	}
	_, records := must(t, path)
	holds(t, records, "late")
}

// disk is a file in memory that fails when told to, and keeps a log of what was asked of it.
type disk struct {
	text          []byte
	log           []string
	write, cut    error
	sync          error
	short         int
	entered, hold chan struct{} // a Sync tells, then waits; nil: it does not
}

func (d *disk) WriteAt(b []byte, off int64) (int, error) {
	n := len(b)
	if d.write != nil {
		n = d.short
	}
	d.text = append(d.text[:off], b[:n]...)
	d.log = append(d.log, "write")
	return n, d.write
}

func (d *disk) Truncate(size int64) error {
	d.log = append(d.log, "truncate")
	if d.cut == nil {
		d.text = d.text[:size]
	}
	return d.cut
}

func (d *disk) Sync() error {
	if d.hold != nil {
		d.entered <- struct{}{}
		<-d.hold
	}
	d.log = append(d.log, "sync")
	return d.sync
}

func (d *disk) Close() error { return nil }

func TestAppendReturnsAfterTheSync(t *testing.T) {
	d := &disk{}
	j := &Journal{file: d}
	for range 2 {
		if _, err := j.Append([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(d.log); got != "[write sync write sync]" {
		t.Fatal(got)
	}
}

func TestOnlyOneRecordIsEverOffTheDisk(t *testing.T) {
	d := &disk{}
	j := &Journal{file: d}
	_, late, err := j.Write([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := j.Write([]byte("y")); err != nil {
		t.Fatal(err)
	}
	if err := late(); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(d.log); got != "[write sync write]" {
		t.Fatal(got)
	}
}

func TestWriteDoesNotWaitForItsOwnSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{entered: make(chan struct{}), hold: make(chan struct{})}
		j := &Journal{file: d}
		_, sync, err := j.Write([]byte("x")) // would hang here
		if err != nil || len(d.log) != 1 {
			t.Fatal(d.log, err)
		}
		done := make(chan error, 1)
		go func() { done <- sync() }()
		<-d.entered
		select {
		case <-done:
			t.Fatal("sync returned before the disk did")
		default:
		}
		close(d.hold)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestAFailedSyncPoisons(t *testing.T) {
	d := &disk{sync: unix.EIO}
	j := &Journal{file: d}
	if _, err := j.Append([]byte("x")); !errors.Is(err, ErrPoisoned) || !errors.Is(err, unix.EIO) {
		t.Fatal(err)
	}
	d.sync = nil // the kernel forgets a failure once it has told of it
	_, err := j.Append([]byte("y"))
	if !errors.Is(err, ErrPoisoned) || !errors.Is(err, unix.EIO) {
		t.Fatalf("the next append: %v", err)
	}
	if err := j.Close(); !errors.Is(err, ErrPoisoned) {
		t.Fatalf("close: %v", err)
	}
	if got := fmt.Sprint(d.log); got != "[write sync]" {
		t.Fatal(got)
	}
}

// What an earlier process could not put on disk the kernel may take for clean: it goes there with the next Open all the same.
func TestOpenPutsOnDiskWhatAFailedSyncHasLeft(t *testing.T) {
	d := &disk{text: []byte("whole torn")}
	if err := settle(d, filepath.Join(t.TempDir(), "journal"), []byte("whole torn"), 5); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(d.log); got != "[truncate write sync]" {
		t.Error(got)
	}
	full := &disk{write: unix.ENOSPC} // copying on write needs space
	if err := settle(full, filepath.Join(t.TempDir(), "journal"), []byte("whole"), 5); err != nil {
		t.Error(err)
	}
}

func TestAFailedSyncOfWritePoisonsItToo(t *testing.T) {
	d := &disk{sync: unix.EIO}
	j := &Journal{file: d}
	_, sync, err := j.Write([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := sync(); !errors.Is(err, ErrPoisoned) {
			t.Fatal(err)
		}
		d.sync = nil
	}
	if _, _, err := j.Write([]byte("y")); !errors.Is(err, ErrPoisoned) {
		t.Fatal(err)
	}
}

func TestAFullDiskRefusesAndGoesOn(t *testing.T) {
	for _, full := range []error{unix.ENOSPC, unix.EDQUOT, unix.EFBIG} {
		d := &disk{}
		j := &Journal{file: d}
		if _, err := j.Append([]byte("one")); err != nil {
			t.Fatal(err)
		}
		before := string(d.text)
		d.write, d.short = full, 5
		if _, err := j.Append([]byte("two")); !errors.Is(err, ErrNoSpace) {
			t.Fatal(err)
		}
		if string(d.text) != before {
			t.Fatal("half a record is left")
		}
		d.write = nil
		if seq, err := j.Append([]byte("two")); err != nil || seq != 2 {
			t.Fatalf("space is back: %d, %v", seq, err)
		}
	}
}

func TestOtherWriteErrorsPoison(t *testing.T) {
	for name, d := range map[string]*disk{
		"an error of the device":               {write: unix.EIO},
		"no space, and no way to cut it again": {write: unix.ENOSPC, short: 5, cut: unix.EIO},
	} {
		t.Run(name, func(t *testing.T) {
			j := &Journal{file: d}
			for range 2 {
				if _, err := j.Append([]byte("x")); !errors.Is(err, ErrPoisoned) {
					t.Fatal(err)
				}
				d.write = nil
			}
		})
	}
}

func TestARealFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("full", dir, "tmpfs", 0, "size=16k"); err != nil {
		t.Skipf("needs the right to mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	path := filepath.Join(dir, "journal")
	j, _ := must(t, path)
	var want []string
	for {
		payload := strings.Repeat("x", 1500)
		if _, err := j.Append([]byte(payload)); errors.Is(err, ErrNoSpace) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		want = append(want, payload)
	}
	if info, _ := os.Stat(path); len(want) == 0 || info.Size() != j.size {
		t.Fatalf("%d records, %d bytes, want %d", len(want), info.Size(), j.size)
	}
	_ = j.Close()
	_, records := must(t, path)
	holds(t, records, want...)
}

func TestAnyCutLeavesAPrefix(t *testing.T) {
	path := temp(t)
	rapid.Check(t, func(t *rapid.T) {
		payloads := rapid.SliceOfN(rapid.StringN(1, 40, 80), 0, 8).Draw(t, "payloads")
		var text []byte
		var ends []int
		for i, p := range payloads {
			text = encode(text, Record{Seq: uint64(i + 1), Payload: []byte(p)})
			ends = append(ends, len(text))
		}
		cut := rapid.IntRange(0, len(text)).Draw(t, "cut")
		whole := 0
		for whole < len(ends) && ends[whole] <= cut {
			whole++
		}
		if err := os.WriteFile(path, text[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		j, records, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		holds(t, records, payloads[:whole]...)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// Whatever the bytes: no panic, what was read encodes to what was there, and an error names a place in the file.
func FuzzScan(f *testing.F) {
	one := encode(nil, Record{Seq: 1, Payload: []byte("one")})
	f.Add([]byte{})
	f.Add(one)
	f.Add(encode(one, Record{Seq: 2, Payload: []byte("two")}))
	f.Add(append(append([]byte(nil), one...), one[:9]...))
	f.Add(make([]byte, 64))
	f.Add(encode(encode(nil, Record{Seq: 7, Payload: []byte("base"), Base: true}), Record{Seq: 8, Payload: []byte("eight")}))
	f.Fuzz(func(t *testing.T, text []byte) {
		records, end, err := scan("f", text)
		var c *CorruptError
		if errors.As(err, &c) {
			if c.Offset < 0 || c.Offset >= int64(len(text)) || records != nil {
				t.Fatalf("offset %d of %d, %d records", c.Offset, len(text), len(records))
			}
			return
		}
		var again []byte
		for _, r := range records {
			again = encode(again, r)
		}
		if string(again) != string(text[:end]) {
			t.Fatalf("%q was read from %q", again, text[:end])
		}
	})
}

// Reading disturbs nobody, and leaves a torn tail to who has the file.
func TestReadBesideTheWriter(t *testing.T) {
	path := temp(t)
	if _, err := Read(path); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a journal that is not there: %v", err)
	}
	j, _ := must(t, path)
	for _, p := range []string{"one", "two"} {
		if _, err := j.Append([]byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	records, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	holds(t, records, "one", "two")
	if err := os.Truncate(path, j.size-1); err != nil {
		t.Fatal(err)
	}
	if records, err = Read(path); err != nil {
		t.Fatal(err)
	}
	holds(t, records, "one")
	if info, _ := os.Stat(path); info.Size() != j.size-1 {
		t.Error("the torn tail was cut")
	}
}
