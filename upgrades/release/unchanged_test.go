package release

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// later has the store believe that its files have been left alone for an hour.
func later(s *Store) { s.now = func() time.Time { return time.Now().Add(time.Hour) } }

func TestABinaryIsHashedOnceWhileNobodyTouchesIt(t *testing.T) {
	s := store(t)
	p, err := drop(t, s, "visits-1.0.0.tpk", pack(t, "visits", "1.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(p.Digest); err != nil || len(s.proofs.hashed) > 0 {
		t.Fatalf("%v; a file that has just been written proves nothing, but %v is kept", err, s.proofs.hashed)
	}
	later(s)
	if _, err := s.Get(p.Digest); err != nil || len(s.proofs.hashed) != 1 {
		t.Fatalf("%v; kept is %v, want that the binary was hashed", err, s.proofs.hashed)
	}
	if err := s.Remove(p.Digest); err != nil || len(s.proofs.hashed) > 0 {
		t.Fatalf("%v; kept is %v of a package that is gone", err, s.proofs.hashed)
	}
}

func TestABinaryThatChangesAfterItWasHashedIsFound(t *testing.T) {
	for _, c := range []struct {
		name   string
		before func(t *testing.T, path string) (change func())
	}{
		{"written to, and its times put back", writeAndPutBack},
		{"another file renamed to its place", renameOver},
		{"written to through a page that was dirty before", writeThroughMapping},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := store(t)
			p, err := drop(t, s, "visits-1.0.0.tpk", pack(t, "visits", "1.0.0"))
			if err != nil {
				t.Fatal(err)
			}
			change := c.before(t, p.Binary())
			later(s)
			if _, err := s.Get(p.Digest); err != nil || len(s.proofs.hashed) != 1 {
				t.Fatalf("%v; kept is %v", err, s.proofs.hashed)
			}
			change()
			var d *DamagedError
			if _, err := s.Get(p.Digest); !errors.As(err, &d) || d.File != p.Binary() {
				t.Fatalf("get: %v, want a damaged binary", err)
			}
		})
	}
}

// writable opens a binary of the store, as only its own user can.
func writable(t *testing.T, path string) *os.File {
	t.Helper()
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func writeAndPutBack(t *testing.T, path string) func() {
	f := writable(t, path)
	return func() {
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteAt([]byte("!"), 1)
		if err := errors.Join(err, os.Chtimes(path, info.ModTime(), info.ModTime())); err != nil {
			t.Fatal(err)
		}
	}
}

func renameOver(t *testing.T, path string) func() {
	return func() {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text[1] = '!'
		write(t, path+".new", text)
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
}

func writeThroughMapping(t *testing.T, path string) func() {
	f := writable(t, path)
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil {
		t.Fatal(err)
	}
	if fs.Type == unix.TMPFS_MAGIC {
		t.Skip("this file system does not tell of stores into mappings")
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(mem) })
	copy(mem, bytes.Clone(mem[:1])) // the page is dirty now
	return func() { mem[1] = '!' }
}
