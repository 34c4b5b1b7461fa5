// Package buf is what the loop of a connection has read and not used: little memory while the connection is idle, more while
// it is busy.
package buf

// A Buffer has bytes that were read and not used.
type Buffer struct {
	b    []byte
	pos  int // what is before it was used
	keep int
}

// small is how many bytes an idle connection costs.
const small = 512

// Reader is what is needed of a connection: see serve.Conn.ReadMore.
type Reader interface {
	ReadMore(held, free []byte) (int, error)
}

// New is a buffer for a connection that may keep so many bytes of memory after it was busy. It takes the bytes over.
func New(keep int, bytes []byte) Buffer { return Buffer{b: bytes, keep: keep} }

// Unused is what was read and not used. Its memory may change with Read.
func (b *Buffer) Unused() []byte { return b.b[b.pos:] }

// Use uses n bytes, and returns them.
func (b *Buffer) Use(n int) []byte {
	used := b.b[b.pos : b.pos+n]
	b.pos += n
	return used
}

// Read waits for more.
func (b *Buffer) Read(from Reader) error {
	b.makeRoom()
	n, err := from.ReadMore(b.Unused(), b.b[len(b.b):cap(b.b)])
	b.b = b.b[:len(b.b)+n]
	return err
}

// makeRoom makes free space behind what is not used: more if the last read took all there was, little if nothing is
// left over from a busy time.
func (b *Buffer) makeRoom() {
	rest, size := b.Unused(), max(cap(b.b), small)
	switch {
	case len(b.b) == cap(b.b) && (size < b.keep || len(rest) > size/2):
		size *= 2
	case len(rest) == 0 && size > b.keep:
		size = small
	}
	switch {
	case size != cap(b.b):
		b.b = append(make([]byte, 0, size), rest...)
	case b.pos > 0:
		b.b = b.b[:copy(b.b[:size], rest)]
	}
	b.pos = 0
}
