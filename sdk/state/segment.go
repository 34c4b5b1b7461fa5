package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	pageSize = 4096
	magic    = 0x0147455345485400 // "\0THESEG\1" as bytes
	format   = 1

	headerSum    = 124 // offset of the checksum of all before it
	offsetCommit = 256 // a cache line each: they are written while others read
	offsetSynced = 320
	offsetBefore = 384
)

// id names a segment: the epoch of its writer, and its place in it from 0.
type id struct{ epoch, seq uint64 }

func (i id) String() string { return fmt.Sprintf("%010d-%010d", i.epoch, i.seq) }
func (i id) file() string   { return i.String() + ".seg" }
func (i id) next() id       { return id{i.epoch, i.seq + 1} }
func (i id) nextEpoch() id  { return id{i.epoch + 1, 0} }
func (i id) less(other id) bool {
	return i.epoch < other.epoch || i.epoch == other.epoch && i.seq < other.seq
}

// parseID reads the name of a segment file.
func parseID(name string) (id, bool) {
	var i id
	if _, err := fmt.Sscanf(name, "%010d-%010d.seg", &i.epoch, &i.seq); err != nil || name != i.file() {
		return id{}, false
	}
	return i, true
}

// header is what never changes in a published segment.
type header struct {
	id, prev id
	size     uint64 // of the file
	seed     uint64 // of the hash of keys; the same in all segments of a log
	boot     [16]byte
}

func (h header) put(b []byte) {
	for i, v := range []uint64{magic, format, h.id.epoch, h.id.seq, h.prev.epoch, h.prev.seq, h.size, h.seed} {
		binary.LittleEndian.PutUint64(b[8*i:], v)
	}
	copy(b[64:], h.boot[:])
	binary.LittleEndian.PutUint32(b[headerSum:], crc32.Checksum(b[:headerSum], castagnoli))
}

func readHeader(b []byte) (header, string) {
	u := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	if u(0) != magic {
		return header{}, "not a segment of a state log"
	}
	if got := crc32.Checksum(b[:headerSum], castagnoli); got != binary.LittleEndian.Uint32(b[headerSum:]) {
		return header{}, "the header has a bad checksum"
	}
	if u(1) != format {
		return header{}, fmt.Sprintf("format %d, known here is %d", u(1), format)
	}
	h := header{id: id{u(2), u(3)}, prev: id{u(4), u(5)}, size: u(6), seed: u(7)}
	copy(h.boot[:], b[64:80])
	return h, ""
}

// segment is a mapped segment file. The segments of others are mapped read-only but for the page of the header.
type segment struct {
	header
	path  string
	mem   []byte
	base  uint64 // first granule of the address space, see grid
	known bool   // has its addresses
	local bool   // written since the machine started: the page cache tells the truth
}

func (g *segment) atomic(offset int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&g.mem[offset]))
}

func (g *segment) commit() *atomic.Uint64 { return g.atomic(offsetCommit) } // tail and fence
func (g *segment) synced() *atomic.Uint64 { return g.atomic(offsetSynced) } // on disk up to here
func (g *segment) before() *atomic.Uint64 { return g.atomic(offsetBefore) } // final tail of the segment before; 0 = open

// word returns the commit word; a damaged one is an error.
func (g *segment) word() (word, error) {
	w := word(g.commit().Load())
	if !w.valid(g.size) {
		return 0, g.corrupt(offsetCommit, fmt.Sprintf("the commit word %016x is damaged", uint64(w)))
	}
	return w, nil
}

// syncedTo returns how far the segment is known to be on disk.
func (g *segment) syncedTo() uint64 {
	if w := word(g.synced().Load()); w.valid(g.size) {
		return w.position()
	}
	return pageSize
}

// beforeEnd returns the final tail of the segment before this one, if it was told.
func (g *segment) beforeEnd() (uint64, bool, error) {
	w := word(g.before().Load())
	if w == 0 {
		return 0, false, nil
	}
	if !w.valid(maxPosition &^ 7) {
		return 0, false, g.corrupt(offsetBefore, "the end of the segment before is damaged")
	}
	return w.position(), true, nil
}

func (g *segment) corrupt(offset uint64, reason string) error {
	return &CorruptError{File: g.path, Offset: int64(offset), Reason: reason}
}

func (g *segment) unmap() error {
	if g.mem == nil {
		return nil
	}
	err := unix.Munmap(g.mem)
	g.mem = nil
	return err
}

// openSegment maps the published segment i of the directory.
func openSegment(dir string, i id, boot [16]byte) (*segment, error) {
	path := filepath.Join(dir, i.file())
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("state: open segment: %w", err)
	}
	defer f.Close()
	g := &segment{path: path}
	if err := g.mapFile(f); err != nil {
		return nil, err
	}
	if err := g.accept(i); err != nil {
		return nil, errors.Join(err, g.unmap())
	}
	g.local = g.boot == boot
	return g, nil
}

func (g *segment) mapFile(f *os.File) error {
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("state: open segment: %w", err)
	}
	if st.Size() < 2*pageSize || st.Size()%pageSize != 0 {
		return g.corrupt(uint64(st.Size()), fmt.Sprintf("%d bytes are no whole segment", st.Size()))
	}
	if g.mem, err = unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("state: map %s: %w", g.path, err)
	}
	if err := unix.Mprotect(g.mem[:pageSize], unix.PROT_READ|unix.PROT_WRITE); err != nil {
		return errors.Join(fmt.Errorf("state: map %s: %w", g.path, err), g.unmap())
	}
	return nil
}

// accept checks the header of a mapped file against its name and its size.
func (g *segment) accept(want id) error {
	h, reason := readHeader(g.mem)
	switch {
	case reason != "":
	case h.id != want:
		reason = fmt.Sprintf("the header says segment %s", h.id)
	case h.size != uint64(len(g.mem)):
		reason = fmt.Sprintf("the header says %d bytes, the file has %d", h.size, len(g.mem))
	}
	g.header = h
	switch {
	case reason == "":
		return nil
	case bytes.Count(g.mem[:pageSize], []byte{0}) == pageSize:
		return fmt.Errorf("%w: %w", errLost, g.corrupt(0, reason))
	}
	return g.corrupt(0, reason)
}

// newSegment makes an unpublished segment under a temporary name, with all its blocks allocated: a store into its
// mapping cannot fail.
func newSegment(dir string, size uint64, boot [16]byte, allocate func(*os.File, int64) error) (*segment, error) {
	f, err := os.CreateTemp(dir, sparePattern)
	if err != nil {
		return nil, spaceError(fmt.Errorf("state: new segment: %w", err))
	}
	defer f.Close()
	g := &segment{path: f.Name(), local: true, header: header{size: size, boot: boot}}
	if err := g.fill(f, allocate); err != nil {
		return nil, errors.Join(spaceError(err), g.unmap(), os.Remove(g.path))
	}
	return g, nil
}

const sparePattern = "spare-*.tmp"

func (g *segment) fill(f *os.File, allocate func(*os.File, int64) error) error {
	if err := allocate(f, int64(g.size)); err != nil {
		return fmt.Errorf("state: allocate %d bytes: %w", g.size, err)
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, int(g.size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("state: map %s: %w", g.path, err)
	}
	g.mem = mem
	_ = unix.Madvise(g.mem, unix.MADV_RANDOM) // the first fault would read ahead: megabytes of zeros, which nobody needs yet
	g.put(g.mem)
	g.commit().Store(uint64(at(pageSize)))
	g.synced().Store(uint64(at(pageSize)))
	g.touch(touchFirst)
	_ = unix.Madvise(g.mem, unix.MADV_NORMAL)
	return nil
}

const touchFirst = 256 << 10 // of a segment that begins an epoch

// touch makes the first bytes of the mapping writable ahead of their first use: the faults would cost the one who
// writes there. It is a hint.
func (g *segment) touch(bytes uint64) {
	_ = unix.Madvise(g.mem[:min(bytes, g.size)], unix.MADV_POPULATE_WRITE)
}

// publish gives the segment its place in the log. fs.ErrExist means that another process was first.
func (g *segment) publish(dir string, i, prev id, seed, before uint64) error {
	g.id, g.prev, g.seed = i, prev, seed
	g.put(g.mem)
	if before != 0 {
		g.before().Store(uint64(at(before)))
	}
	path := filepath.Join(dir, i.file())
	if err := renameNew(g.path, path); err != nil {
		return fmt.Errorf("state: publish segment %s: %w", i, spaceError(err))
	}
	g.path = path
	return nil
}

// renameNew renames a file to a name that must not exist yet.
func renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if err != unix.EINVAL && err != unix.ENOSYS {
		return err
	}
	if err := os.Link(from, to); err != nil {
		return err
	}
	return os.Remove(from)
}

// allocate gives f blocks for size bytes. Where the file system cannot do it at once they are written.
func allocate(f *os.File, size int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, size)
	for err == unix.EINTR {
		err = unix.Fallocate(int(f.Fd()), 0, 0, size)
	}
	if err != unix.EOPNOTSUPP {
		return err
	}
	zero := make([]byte, 1<<20)
	for from := int64(0); from < size; from += int64(len(zero)) {
		if _, err := f.WriteAt(zero[:min(int64(len(zero)), size-from)], from); err != nil {
			return err
		}
	}
	return nil
}

// spaceError turns the ways in which a file system says that it is full into ErrNoSpace.
func spaceError(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}

// removeFile removes a file that may be gone already.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
