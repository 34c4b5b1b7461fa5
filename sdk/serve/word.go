package serve

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A word is the one place that says whose the connections are. It lies in memory that both processes map, and changes
// hands by compare-and-swap, so the answer is never two processes, whichever of them is slow, stopped or dead. The
// memory stays mapped, a page for each pair that a process has been in.
//
//	held by A ──A finishes──▶ given by A ──B arms──▶ held by B
//	    ▲                        │
//	    └──── A takes back ──────┘
//
// Once B has left, what A holds is A's alone, and cannot be given.
type word struct {
	v   *atomic.Uint64
	mem []byte
}

// Values of a word, for the sides 0 and 1.
const (
	nobody  = 0
	holds   = 1 // + side
	given   = 3 // + side
	alone   = 5 // + side: it holds them, and the other one has left
	wordLen = 4096
)

// newWord makes a word and the descriptor that a peer maps.
func newWord() (*word, *os.File, error) {
	fd, err := unix.MemfdCreate("theseus-pair", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "pair")
	if err := f.Truncate(wordLen); err != nil {
		f.Close()
		return nil, nil, err
	}
	w, err := mapWord(fd)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return w, f, nil
}

// mapWord maps a peer's word.
func mapWord(fd int) (*word, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Size != wordLen {
		return nil, fmt.Errorf("%w: no word", ErrProtocol)
	}
	mem, err := unix.Mmap(fd, 0, wordLen, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return &word{v: (*atomic.Uint64)(unsafe.Pointer(&mem[0])), mem: mem}, nil
}

func (w *word) heldBy(side uint64) bool {
	v := w.v.Load()
	return v == holds+side || v == alone+side
}

func (w *word) givenBy(side uint64) bool { return w.v.Load() == given+side }

// give lets go of what side holds, unless there is nobody who could take it.
func (w *word) give(side uint64) bool { return w.v.CompareAndSwap(holds+side, given+side) }

// leave is the end of side's part. What the other one holds it keeps.
func (w *word) leave(side uint64) { w.v.CompareAndSwap(holds+1-side, alone+1-side) }

// take makes side the holder of what anybody gave, or of what nobody had; false if the other side holds it.
func (w *word) take(side uint64) bool {
	for {
		switch v := w.v.Load(); v {
		case holds + side, alone + side:
			return true
		case holds + 1 - side, alone + 1 - side:
			return false
		default:
			if w.v.CompareAndSwap(v, holds+side) {
				return true
			}
		}
	}
}

// inherit takes over from a holder that does not talk any more; the connections that it has are not here.
func (w *word) inherit(side uint64) { w.v.Store(holds + side) }
