package serve

import "bytes"

// A seen is what net/http read from a connection and may not have used yet.
//
// net/http reads through a bufio.Reader of a fixed size, and such a reader asks for exactly the free part of its
// buffer. So the first read after a request tells how many bytes of the next one it already has: the size less what
// it asks for. These are the last ones that it read; what comes until the header is complete is added to them.
// headerBuffer is the size; a test fails when net/http changes any of this.
type seen struct {
	buf      []byte
	inHeader bool // buf is the beginning of a request, complete
	adopted  bool // the connection served requests before, elsewhere
	blank    int  // line ends skipped before its first request here
}

const headerBuffer = 4096

// header begins a read in front of a complete header, with room asked for; fresh if no request came before. False
// says that the arithmetic failed, and that what net/http has cannot be known.
func (s *seen) header(room int, fresh bool) bool {
	if s.inHeader {
		return true
	}
	s.inHeader = true
	if fresh {
		return true
	}
	have := headerBuffer - room
	if have < 0 || have > len(s.buf) {
		return false
	}
	s.buf = s.buf[len(s.buf)-have:]
	if have == 0 && cap(s.buf) > headerBuffer/2 {
		s.buf = nil // idle connections are many
	}
	return true
}

func (s *seen) headerDone() {
	s.inHeader = false
	s.adopted = false
	s.trim()
}

// add takes note of bytes just read; those of a body matter only as long as they can be in the buffer.
func (s *seen) add(b []byte, body bool) {
	if body && len(b) >= headerBuffer {
		s.buf = append(s.buf[:0], b[len(b)-headerBuffer:]...)
		return
	}
	s.buf = append(s.buf, b...)
	if body && len(s.buf) > 2*headerBuffer {
		s.trim()
	}
}

func (s *seen) trim() {
	if over := len(s.buf) - headerBuffer; over > 0 {
		s.buf = append(s.buf[:0], s.buf[over:]...)
	}
}

// unread is the beginning of the next request, a copy.
func (s *seen) unread() []byte {
	if !s.inHeader {
		return nil
	}
	return bytes.Clone(s.buf)
}

// maxBlank is how many bytes of line ends net/http skips after a POST, for old clients' sake.
const maxBlank = 4

// skipBlank removes line ends in front of the first request of an adopted connection: net/http would skip them after
// a POST, but does not know here that there was one. It says how many bytes remain.
func (s *seen) skipBlank(b []byte) int {
	if !s.adopted || len(s.buf) > 0 {
		return len(b)
	}
	n := 0
	for n < len(b) && s.blank < maxBlank && (b[n] == '\r' || b[n] == '\n') {
		n++
		s.blank++
	}
	return copy(b, b[n:])
}

const http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// http2 reports whether a fresh connection has begun to speak HTTP/2.
func (s *seen) http2() bool {
	return len(s.buf) >= len(http2Preface) && string(s.buf[:len(http2Preface)]) == http2Preface
}
