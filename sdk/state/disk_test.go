package state

import (
	"reflect"
	"testing"

	"golang.org/x/sys/unix"
)

const errNoBlocks = unix.ENOSPC

func TestAReallyFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	s, kv := openBytes(t, dir, Options{SegmentSize: 1 << 16})
	activate(t, s)
	want := fillUp(t, kv)
	for range 3 { // it stays refused, and rows that are there stay readable
		if err := kv.Put("more", nil); err == nil {
			want["more"] = ""
		}
	}
	if got := dump(kv); !reflect.DeepEqual(got, want) {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
	must(0, s.Close())
	s, kv = openBytes(t, dir, Options{SegmentSize: 1 << 16})
	must(s.Load(t.Context()))
	if got := dump(kv); !reflect.DeepEqual(got, want) {
		t.Errorf("after opening again: %d rows, want %d", len(got), len(want))
	}
}
