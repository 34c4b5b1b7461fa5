package serve

import (
	"bytes"
	"math"
	"strconv"
)

// A framer follows a connection's requests on their way into net/http, and makes sure that no byte of a next request
// goes there before the one in hand is answered. So what is unread is known at any boundary: the part of a header
// that net/http has already been given, and what is still here.
//
// It decides nothing else: a read gets whatever there is, only not across what looks like the end of a request. If
// net/http ever sees an end elsewhere, the two notice it and the connection is served on, but not handed over.
type framer struct {
	header  []byte // of the request that is coming, as far as net/http has it
	scanned int    // of header, while looking for its end
	part    part
	left    int64 // of a body or a chunk
	line    int   // bytes in the current line of a chunked body
	size    int64 // as far as the line says
	inSize  bool  // no extension has begun
	asked   bool  // there was a read in front of the end of this header
	adopted bool  // the connection served requests before, elsewhere
	blank   int   // bytes of line ends skipped in front of its first request here
	http2   bool  // the client speaks it
	lost    bool  // net/http sees other requests
}

// part is where in a request the next byte belongs.
type part int

const (
	inHeader part = iota
	inBody        // of known length
	inChunkSize
	inChunk
	inChunkEnd
	inTrailer
	atEnd
)

// after is the part behind bytes of known length.
func (p part) after() part {
	if p == inBody {
		return atEnd
	}
	return inChunkEnd
}

// serverBuffer is the size of net/http's read buffer; a read asks for its free part.
const serverBuffer = 4096

// next begins a request, after one that has been answered.
func (f *framer) next() {
	f.lost = f.lost || f.part != atEnd
	f.part, f.scanned, f.asked, f.adopted = inHeader, 0, false, false
	if cap(f.header) > serverBuffer/2 {
		f.header = append([]byte(nil), f.header...) // idle connections are many
	}
}

// ask takes note of a read of a header with room in net/http's buffer; fresh if no request came before.
func (f *framer) ask(room int, fresh bool) {
	if !f.asked && !fresh && serverBuffer-room != len(f.header) {
		f.lost = true
	}
	f.asked = true
	if f.part != inHeader {
		f.lost = true
	}
}

// pass says how many bytes of b to drop, and how many of the rest may go on now. Some do, unless all are dropped.
func (f *framer) pass(b []byte) (skip, n int) {
	if f.lost {
		return 0, len(b)
	}
	skip = f.skipBlank(b)
	rest := b[skip:]
	if len(rest) > 0 && f.part == atEnd {
		return skip, f.overrun(rest)
	}
	for n < len(rest) && f.part != atEnd {
		n += f.step(rest[n:])
	}
	return skip, n
}

// overrun is for a read behind the end of a request: net/http waits with a single byte for a client to leave.
func (f *framer) overrun(b []byte) int {
	if len(b) != 1 || len(f.header) > 0 {
		f.lost = true
		return len(b)
	}
	f.header = append(f.header, b...)
	return 1
}

// step takes note of at least one byte, and says of how many.
func (f *framer) step(b []byte) int {
	switch f.part {
	case inHeader:
		return f.stepHeader(b)
	case inBody, inChunk:
		n := int(min(f.left, int64(len(b))))
		if f.left -= int64(n); f.left == 0 {
			f.part = f.part.after()
		}
		return n
	case inChunkSize:
		f.stepSize(b[0])
	case inChunkEnd:
		if b[0] == '\n' {
			f.beginChunk()
		}
	case inTrailer:
		f.stepTrailer(b[0])
	}
	return 1
}

func (f *framer) stepHeader(b []byte) int {
	had := len(f.header)
	f.header = append(f.header, b...)
	end := f.headerEnd()
	if end < 0 {
		return len(b)
	}
	f.http2 = string(f.header[:end]) == http2Preface
	f.part, f.left = bodyOf(f.header[:end])
	if f.part == inChunkSize {
		f.beginChunk()
	}
	f.header = f.header[:0]
	return end - had
}

// headerEnd finds the empty line, -1 if it is not there yet. Line ends in front of a request do not count.
func (f *framer) headerEnd() int {
	h := f.header
	for f.scanned < len(h) && f.scanned < maxBlank && (h[f.scanned] == '\r' || h[f.scanned] == '\n') {
		f.scanned++
	}
	for {
		i := bytes.IndexByte(h[f.scanned:], '\n')
		if i < 0 {
			return -1
		}
		after := h[f.scanned+i+1:]
		switch {
		case len(after) > 0 && after[0] == '\n':
			return f.scanned + i + 2
		case len(after) > 1 && after[0] == '\r' && after[1] == '\n':
			return f.scanned + i + 3
		case len(after) == 0 || len(after) == 1 && after[0] == '\r':
			f.scanned += i
			return -1
		}
		f.scanned += i + 1
	}
}

func (f *framer) beginChunk() { f.part, f.line, f.size, f.inSize = inChunkSize, 0, 0, true }

func (f *framer) stepSize(c byte) {
	switch v, ok := hex(c); {
	case c == '\n' && f.size == 0:
		f.part, f.line = inTrailer, 0
	case c == '\n':
		f.part, f.left = inChunk, f.size
	case c == '\r':
	case ok && f.inSize && f.size < math.MaxInt64>>4:
		f.size = f.size<<4 | v
	default:
		f.inSize = false
	}
}

func hex(c byte) (int64, bool) {
	switch {
	case '0' <= c && c <= '9':
		return int64(c - '0'), true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int64(c|0x20-'a') + 10, true
	}
	return 0, false
}

func (f *framer) stepTrailer(c byte) {
	switch {
	case c == '\n' && f.line == 0:
		f.part = atEnd
	case c == '\n':
		f.line = 0
	case c != '\r':
		f.line++
	}
}

// bodyOf says what follows a complete header.
func bodyOf(header []byte) (part, int64) {
	first, rest, _ := bytes.Cut(bytes.TrimLeft(header, "\r\n"), []byte("\n"))
	length, chunked := int64(0), false
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		if len(line) == 0 || line[0]|0x20 != 'c' && line[0]|0x20 != 't' {
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			length, _ = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = !bytes.HasSuffix(bytes.TrimRight(first, "\r"), []byte("HTTP/1.0"))
		}
	}
	switch {
	case chunked:
		return inChunkSize, 0
	case length > 0:
		return inBody, length
	}
	return atEnd, 0
}

// unread is what net/http has of a next request, a copy.
func (f *framer) unread() []byte { return bytes.Clone(f.header) }

// maxBlank is how many bytes of line ends net/http skips after a POST, for old clients' sake.
const maxBlank = 4

// skipBlank drops line ends in front of the first request of an adopted connection: net/http skips them after a POST,
// but cannot know here that there was one.
func (f *framer) skipBlank(b []byte) int {
	if !f.adopted || f.part != inHeader || len(f.header) > 0 {
		return 0
	}
	n := 0
	for n < len(b) && f.blank < maxBlank && (b[n] == '\r' || b[n] == '\n') {
		n++
		f.blank++
	}
	return n
}

// http2Preface is the beginning of HTTP/2, as far as it looks like a header.
const http2Preface = "PRI * HTTP/2.0\r\n\r\n"
