package state

import (
	"errors"
	"maps"
	"os"
	"reflect"
	"sync/atomic"
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

// The way back does not need a whole segment: each process has a small one in reserve, made while there was room.
func TestAFullDiskDoesNotBarTheWayBack(t *testing.T) {
	var room atomic.Int64
	room.Store(1 << 40)
	o := Options{SegmentSize: 1 << 16, allocate: func(f *os.File, size int64) error {
		if size > room.Load() {
			return errNoBlocks
		}
		return allocate(f, size)
	}}
	dir := t.TempDir()
	old, before := openBytes(t, dir, o)
	activate(t, old)
	neu, after := openBytes(t, dir, o)
	must(neu.Load(t.Context()))
	must(0, old.Release())
	must(neu.Activate(t.Context(), nil))
	must(0, old.dropStale())
	must(0, old.drop(old.w.spare))
	old.w.spare = nil
	room.Store(0)
	want := fillUp(t, after)
	if err := old.prepareAhead(); !errors.Is(err, ErrNoSpace) || old.Stats().Unready == "" {
		t.Errorf("prepared: %v, unready: %q", err, old.Stats().Unready)
	}
	must(0, neu.Release())
	must(old.Activate(t.Context(), nil))
	if got := dump(before); !reflect.DeepEqual(got, want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	must(0, before.Put("a little", nil))
	more := fillUp(t, before)
	room.Store(1 << 40)
	must(0, old.prepareAhead()) // the segment after this one
	must(0, old.prepareAhead())
	if old.w.spare == nil || old.w.reserve == nil || old.Stats().Unready != "" {
		t.Errorf("the reserve was not made anew: %q", old.Stats().Unready)
	}
	big := make([]byte, 1<<15)
	must(0, before.Put("big", big))
	maps.Copy(want, more)
	want["a little"], want["big"] = "", string(big)
	if got := dump(before); !reflect.DeepEqual(got, want) {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
}
