package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
)

const (
	fuzzRows = 40

	afterPower   = 1 << iota // the machine was started since
	repairHeader             // sums that the mutation has broken are put right,
	repairRows               // so that it gets past them
	repairCommit
)

// validSegment is the bytes of a first segment with fuzzRows rows.
func validSegment(tb testing.TB) []byte {
	tb.Helper()
	dir := tb.TempDir()
	s, kv := openBytes(tb, dir, boots(1))
	activate(tb, s)
	fill(tb, kv, fuzzRows)
	must(0, s.Release())
	b := must(os.ReadFile(filepath.Join(dir, genesis.file())))
	must(0, s.Close())
	return b
}

// FuzzReader spoils a valid segment: reading it ends with an error that names file and offset, or with the rows of a
// beginning of the log; with all of them, unless the commit word says otherwise or the machine was started since.
func FuzzReader(f *testing.F) {
	valid := validSegment(f)
	dir := memDir(f)
	for mode := range byte(16) {
		f.Add(uint16(0), []byte{}, uint16(len(valid)), mode<<1)
		f.Add(uint16(pageSize+20), []byte{0xff, 0, 1}, uint16(len(valid)), mode<<1)
		f.Add(uint16(offsetCommit), []byte{7, 7, 7}, uint16(len(valid)), mode<<1)
		f.Add(uint16(pageSize), []byte{0xff, 0xff, 0xff, 0xff}, uint16(9000), mode<<1)
	}
	f.Fuzz(func(t *testing.T, off uint16, patch []byte, size uint16, mode byte) {
		b := append([]byte(nil), valid[:min(int(size), len(valid))]...)
		if int(off) < len(b) {
			copy(b[off:], patch)
		}
		repair(b, mode)
		must(0, os.WriteFile(filepath.Join(dir, genesis.file()), b, 0o600))
		read(t, dir, b, bytes.Equal(b[:min(len(b), pageSize)], valid[:min(len(b), pageSize)]), mode)
	})
}

// repair makes sums right again, so that mutations get past them.
func repair(b []byte, mode byte) {
	if len(b) < 2*pageSize {
		return
	}
	if mode&repairHeader != 0 {
		binary.LittleEndian.PutUint32(b[headerSum:], crc32.Checksum(b[:headerSum], castagnoli))
	}
	if mode&repairCommit != 0 {
		w := word(binary.LittleEndian.Uint64(b[offsetCommit:]))
		binary.LittleEndian.PutUint64(b[offsetCommit:], uint64(at(w.position())|w&(sealed|fenced)))
	}
	for at := uint64(pageSize); mode&repairRows != 0 && at+recordHeader <= uint64(len(b)); {
		r := record(b[at:])
		if r.misfit(uint64(len(r))) != "" {
			return
		}
		binary.LittleEndian.PutUint32(r[4:], r.computed())
		at += r.stride()
	}
}

func read(t *testing.T, dir string, b []byte, sameHeader bool, mode byte) {
	s, kv := openBytes(t, dir, boots(1+mode&afterPower))
	defer s.Close()
	n, err := s.Load(t.Context())
	var damage *CorruptError
	switch {
	case err == nil:
	case errors.As(err, &damage):
		if filepath.Dir(damage.File) != dir || damage.Offset < 0 || damage.Offset > int64(len(b)) {
			t.Fatalf("an error out of place: %v", err)
		}
		return
	case errors.Is(err, ErrNewer) && mode&repairRows != 0:
		return
	default:
		t.Fatal(err)
	}
	walk(t, kv)
	if mode&repairRows != 0 {
		return // the rows may be anything
	}
	if n > fuzzRows || sameHeader && mode&afterPower == 0 && n != fuzzRows {
		t.Fatalf("%d rows of %d, and no error", n, fuzzRows)
	}
	for i := range n {
		if v, ok := kv.Get(fmt.Sprintf("user:%011d", i)); !ok || len(v) != 100 {
			t.Fatalf("row %d of the first %d is %q, %v", i, n, v, ok)
		}
	}
}

// walk reads everything that an index points to.
func walk(t *testing.T, kv *Table[[]byte]) {
	for _, table := range kv.rows.store.all() {
		must(0, table.each(t.Context(), func(it item) error {
			_ = it.rec.image()
			return nil
		}))
	}
}
