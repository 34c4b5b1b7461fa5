package grpc

import (
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/net/http2/hpack"
)

// Kinds and flags of HTTP/2 frames.
const (
	kindData         = 0
	kindHeaders      = 1
	kindReset        = 3
	kindSettings     = 4
	kindPush         = 5
	kindPing         = 6
	kindGoAway       = 7
	kindWindow       = 8
	kindContinuation = 9

	flagAck        = 1
	flagEndStream  = 1
	flagEndHeaders = 4
	flagPadded     = 8
	flagPriority   = 32

	setTableSize     = 1
	setStreams       = 3
	setInitialWindow = 4
	setFrame         = 5
	setHeaderList    = 6
)

// Error codes of HTTP/2.
const (
	errProtocol  = 1
	errFlow      = 3
	errFrameSize = 6
	errRefused   = 7
	errCompress  = 9
	errCalm      = 11
)

const (
	preface      = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	frameHeader  = 9
	maxFrame     = 16 << 10 // that is taken here, and by every client
	startWindow  = 65535
	largestOfAll = 1<<31 - 1
)

func be32(b []byte) uint32              { return binary.BigEndian.Uint32(b) }
func putBE32(b []byte, n uint32)        { binary.BigEndian.PutUint32(b, n) }
func be24(b []byte) int                 { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }
func addBE32(b []byte, n uint32) []byte { return binary.BigEndian.AppendUint32(b, n) }

// frame is one that has come whole.
type frame struct {
	kind, flags byte
	id          uint32
	payload     []byte
}

func (f frame) has(flag byte) bool { return f.flags&flag != 0 }

// frameAt is the frame at the beginning of b; n is 0 if it has not come whole.
func frameAt(b []byte) (f frame, n int, err error) {
	if len(b) < frameHeader {
		return f, 0, nil
	}
	size := be24(b)
	if size > maxFrame {
		return f, 0, broken{errFrameSize, fmt.Sprintf("a frame of %d bytes", size)}
	}
	if n = frameHeader + size; len(b) < n {
		return f, 0, nil
	}
	return frame{b[3], b[4], be32(b[5:]) & largestOfAll, b[frameHeader:n]}, n, nil
}

// unpad is the payload without padding, and without the priority of a HEADERS frame.
func (f frame) unpad() ([]byte, error) {
	p := f.payload
	if f.has(flagPadded) {
		if len(p) == 0 || int(p[0]) >= len(p) {
			return nil, broken{errProtocol, "more padding than frame"}
		}
		p = p[1 : len(p)-int(p[0])]
	}
	if f.kind == kindHeaders && f.has(flagPriority) {
		if len(p) < 5 {
			return nil, broken{errFrameSize, "a priority of less than five bytes"}
		}
		p = p[5:]
	}
	return p, nil
}

// broken is a connection that cannot go on.
type broken struct {
	code uint32
	what string
}

func (e broken) Error() string { return e.what }

func addFrame(b []byte, kind, flags byte, id uint32, payload ...byte) []byte {
	b = addHeader(b, len(payload), kind, flags, id)
	return append(b, payload...)
}

func addHeader(b []byte, size int, kind, flags byte, id uint32) []byte {
	b = append(b, byte(size>>16), byte(size>>8), byte(size), kind, flags)
	return addBE32(b, id)
}

func addNumber(b []byte, kind byte, id, n uint32) []byte {
	return addFrame(b, kind, 0, id, addBE32(nil, n)...)
}

// addSettings greets: no table for headers, so that the next version needs none, and the bounds.
func addSettings(b []byte) []byte {
	var p []byte
	for _, s := range [][2]uint32{{setTableSize, 0}, {setStreams, MaxStreams}, {setInitialWindow, 2 * MaxMessage}, {setHeaderList, maxHeaders}} {
		p = addBE32(append(p, byte(s[0]>>8), byte(s[0])), s[1])
	}
	b = addFrame(b, kindSettings, 0, 0, p...)
	return addNumber(b, kindWindow, 0, maxBuffered-startWindow)
}

func addGoAway(b []byte, last uint32, e broken) []byte {
	p := addBE32(addBE32(nil, last), e.code)
	return addFrame(b, kindGoAway, 0, 0, append(p, e.what...)...)
}

func block(pairs ...string) []byte {
	var text strings.Builder
	e := hpack.NewEncoder(&text)
	for i := 0; i < len(pairs); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1], Sensitive: true}) // a Builder takes all
	}
	return []byte(text.String())
}

// addBlock adds headers, in as many frames as they need.
func addBlock(b []byte, id uint32, flags byte, block []byte) []byte {
	kind := byte(kindHeaders)
	for ; len(block) > maxFrame; block = block[maxFrame:] {
		b = addFrame(b, kind, flags, id, block[:maxFrame]...)
		kind, flags = kindContinuation, 0
	}
	return addFrame(b, kind, flagEndHeaders|flags, id, block...)
}

// percent writes a message as gRPC wants it, cut to a length that fits into one frame.
func percent(text string) string {
	var b strings.Builder
	for i := 0; i < len(text) && i < 1024; i++ {
		if c := text[i]; c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
