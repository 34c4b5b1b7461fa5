package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// boots returns options of a store on a machine that was started for the nth time.
func boots(n byte) Options {
	return Options{SegmentSize: MinSegmentSize, boot: &[16]byte{n}}
}

// written makes a log of so many rows of 100 bytes in dir, on the first start of the machine.
func written(t *testing.T, dir string, rows int, opts ...TableOption) {
	t.Helper()
	s := open(t, dir, boots(1))
	kv := NewTable(s, "kv", Schema[[]byte]{}, opts...)
	activate(t, s)
	fill(t, kv, rows)
	must(0, s.Close())
}

// patch changes bytes of a segment file; a negative offset counts from the tail.
func patch(t *testing.T, dir string, i id, off int64, b ...byte) {
	t.Helper()
	f := must(os.OpenFile(filepath.Join(dir, i.file()), os.O_RDWR, 0))
	defer f.Close()
	if off < 0 {
		g := must(openSegment(dir, i, [16]byte{}))
		off += int64(must(g.word()).position())
		must(0, g.unmap())
	}
	must(f.WriteAt(b, off))
}

func load(t *testing.T, dir string, o Options) (uint64, error) {
	t.Helper()
	s, _ := openBytes(t, dir, o)
	n, err := s.Load(t.Context())
	if cerr := s.Close(); cerr != nil {
		t.Error(cerr)
	}
	return n, err
}

func TestDamageIsNamed(t *testing.T) {
	one, two := id{1, 0}, id{1, 1}
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		file  string
		want  string
	}{
		{"a bit of a row", func(t *testing.T, dir string) { patch(t, dir, one, pageSize+200, 0xff) }, one.file(), "checksum"},
		{"a row's length", func(t *testing.T, dir string) { patch(t, dir, one, pageSize, 1, 0, 0, 0) }, one.file(), "a record of 1 bytes"},
		{"a row's end", func(t *testing.T, dir string) { patch(t, dir, one, pageSize, 0, 0, 0, 4) }, one.file(), "are left"},
		{"the commit word", func(t *testing.T, dir string) { patch(t, dir, one, offsetCommit+1, 0x55) }, one.file(), "commit word"},
		{"the header", func(t *testing.T, dir string) { patch(t, dir, one, 50, 1) }, one.file(), "checksum"},
		{"a foreign file", func(t *testing.T, dir string) { patch(t, dir, one, 0, 'E', 'L', 'F') }, one.file(), "not a segment"},
		{"an empty file", func(t *testing.T, dir string) { must(0, os.Truncate(filepath.Join(dir, one.file()), 0)) }, one.file(), "no whole segment"},
		{"a short file", func(t *testing.T, dir string) { must(0, os.Truncate(filepath.Join(dir, one.file()), 8192)) }, one.file(), "the file has 8192"},
		{"a first segment gone", func(t *testing.T, dir string) { must(0, os.Remove(filepath.Join(dir, one.file()))) }, one.file(), "missing"},
		{"a segment gone", func(t *testing.T, dir string) { must(0, os.Remove(filepath.Join(dir, two.file()))) }, two.file(), "missing"},
		{"a base that is none", func(t *testing.T, dir string) {
			must(0, os.WriteFile(filepath.Join(dir, baseFile), []byte("0000000001-0000000001 00000000\n"), 0o600))
		}, baseFile, "does not name"},
		{"segments of another log", func(t *testing.T, dir string) {
			other := t.TempDir()
			written(t, other, 300)
			must(0, os.Rename(filepath.Join(other, two.file()), filepath.Join(dir, two.file())))
		}, two.file(), "another log"},
		{"not sealed", func(t *testing.T, dir string) {
			g := must(openSegment(dir, one, [16]byte{}))
			g.commit().And(^uint64(sealed))
			must(0, g.unmap())
		}, one.file(), "not sealed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			written(t, dir, 300)
			c.spoil(t, dir)
			_, err := load(t, dir, boots(1))
			var damage *CorruptError
			if !errors.As(err, &damage) || !errors.Is(err, ErrCorrupt) {
				t.Fatalf("got %v", err)
			}
			if filepath.Base(damage.File) != c.file || !strings.Contains(damage.Reason, c.want) {
				t.Errorf("got %v, want %s in %s", err, c.want, c.file)
			}
		})
	}
}

func TestALossOfPowerCutsTheTail(t *testing.T) {
	dir := t.TempDir()
	written(t, dir, 50)
	patch(t, dir, id{1, 0}, -10, 0xff)
	if _, err := load(t, dir, boots(1)); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("without a start of the machine it is damage, got %v", err)
	}
	s, kv := openBytes(t, dir, boots(2))
	if n, err := s.Load(t.Context()); n != 49 || err != nil {
		t.Fatalf("%d rows, %v", n, err)
	}
	must(s.Activate(t.Context(), nil))
	must(0, kv.Put("after", nil))
	must(0, s.Close())
	for n := byte(2); n <= 3; n++ {
		if n, err := load(t, dir, boots(n)); n != 50 || err != nil {
			t.Errorf("%d rows, %v", n, err)
		}
	}
}

func TestALossOfPowerInTheMiddleDropsWhatCameLater(t *testing.T) {
	dir := t.TempDir()
	written(t, dir, 300)
	patch(t, dir, id{1, 1}, pageSize+10*152, 0, 0, 0, 0, 0, 0, 0, 0) // some pages were not written
	s, kv := openBytes(t, dir, boots(2))
	n, err := s.Load(t.Context())
	if err != nil || n < 60 || n > 200 {
		t.Fatalf("%d rows, %v", n, err)
	}
	for i := range n {
		if _, ok := kv.Get(fmt.Sprintf("user:%011d", i)); !ok {
			t.Fatalf("row %d of the first %d is missing", i, n)
		}
	}
	must(s.Activate(t.Context(), nil))
	must(0, kv.Put("after", nil))
	must(0, s.Close())
	if again, err := load(t, dir, boots(3)); again != n+1 || err != nil {
		t.Errorf("%d rows, %v, want %d", again, err, n+1)
	}
}

func TestWhatWasSyncedMayNotBeLost(t *testing.T) {
	dir := t.TempDir()
	written(t, dir, 300, Durable)
	patch(t, dir, id{1, 0}, -10, 0xff)
	_, err := load(t, dir, boots(2))
	var damage *CorruptError
	if !errors.As(err, &damage) || filepath.Base(damage.File) != (id{1, 0}).file() || damage.Offset < pageSize {
		t.Fatalf("got %v", err)
	}
}

func TestASyncedSegmentMayNotBeMissing(t *testing.T) {
	dir := t.TempDir()
	written(t, dir, 300, Durable)
	must(0, os.Remove(filepath.Join(dir, id{1, 1}.file())))
	if n, err := load(t, dir, boots(2)); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("%d rows, %v", n, err)
	}
}

func TestALossOfPowerLosesTheNewestSegment(t *testing.T) {
	dir := t.TempDir()
	written(t, dir, 50)
	s, kv := openBytes(t, dir, boots(1))
	activate(t, s)
	must(0, kv.Put("lost", nil))
	must(0, s.Close())
	patch(t, dir, id{2, 0}, 0, make([]byte, pageSize)...) // the name reached the disk, the header did not
	if _, err := load(t, dir, boots(1)); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("without a start of the machine it is damage, got %v", err)
	}
	s, kv = openBytes(t, dir, boots(2))
	if n, err := s.Load(t.Context()); n != 50 || err != nil {
		t.Fatalf("%d rows, %v", n, err)
	}
	must(s.Activate(t.Context(), nil))
	must(0, kv.Put("after", nil))
	must(0, s.Close())
	if n, err := load(t, dir, boots(2)); n != 51 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
}

func TestASealIsEnoughToGoOn(t *testing.T) {
	dir := t.TempDir()
	written(t, dir, 300)
	patch(t, dir, id{1, 1}, offsetBefore, 0, 0, 0, 0, 0, 0, 0, 0) // its writer died before it wrote this
	if n, err := load(t, dir, boots(2)); n != 300 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
}

func TestASecondLossOfPower(t *testing.T) {
	dir := t.TempDir()
	written(t, dir, 50)
	for n := byte(2); n < 6; n++ {
		s, kv := openBytes(t, dir, boots(n))
		activate(t, s)
		fill(t, kv, 60+10*int(n))
		last := s.w.active.id
		must(0, s.Close())
		patch(t, dir, last, -10, 0xff)
	}
	s, kv := openBytes(t, dir, boots(9))
	if n, err := s.Load(t.Context()); err != nil || n != 109 {
		t.Fatalf("%d rows, %v", n, err)
	}
	if _, ok := kv.Get(fmt.Sprintf("user:%011d", 0)); !ok {
		t.Error("the first row is gone")
	}
}
