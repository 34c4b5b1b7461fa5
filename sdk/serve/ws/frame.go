package ws

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// An assembler finds messages in bytes that come in pieces of any size.
type assembler struct {
	limit  int    // bytes of a message
	whole  []byte // of a message in fragments, as far as they have come
	op     ws.OpCode
	inside bool // a message in fragments has begun

	reader bytes.Reader
	header [ws.MaxHeaderSize]byte
}

// message is a whole message, or a control frame. Its bytes lie in the buffer it was found in, or in the assembler.
type message struct {
	op      ws.OpCode
	payload []byte
}

// violation is why a connection has to end.
type violation struct {
	code int
	text string
}

func (v *violation) Error() string { return v.text }

// next takes the frame at the beginning of b: n bytes of it are used, none if it is not all there. m is what it
// completes, if it does. The payload is unmasked where it lies.
func (a *assembler) next(b []byte) (m message, done bool, n int, err error) {
	h, size, err := a.peek(b)
	if err != nil || size == 0 {
		return m, false, 0, err
	}
	if err := a.check(h); err != nil {
		return m, false, 0, err
	}
	n = size + int(h.Length)
	if len(b) < n {
		return m, false, 0, nil
	}
	payload := b[size:n]
	ws.Cipher(payload, h.Mask, 0)
	m, done, err = a.add(h, payload)
	return m, done, n, err
}

// peek reads a header, if it is there.
func (a *assembler) peek(b []byte) (h ws.Header, size int, err error) {
	a.reader.Reset(b)
	h, err = ws.ReadHeaderBuffer(&a.reader, a.header[:])
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return h, 0, nil
	case err != nil:
		return h, 0, &violation{CloseProtocol, err.Error()}
	}
	return h, len(b) - a.reader.Len(), nil
}

func (a *assembler) check(h ws.Header) error {
	state := ws.StateServerSide
	if a.inside {
		state = state.Set(ws.StateFragmented)
	}
	if err := ws.CheckHeader(h, state); err != nil {
		return &violation{CloseProtocol, err.Error()}
	}
	if !h.OpCode.IsControl() && h.Length > int64(a.limit-len(a.whole)) {
		return &violation{CloseTooBig, "the message is too big"}
	}
	return nil
}

// add takes a whole frame.
func (a *assembler) add(h ws.Header, payload []byte) (message, bool, error) {
	switch {
	case h.OpCode == ws.OpClose:
		return message{h.OpCode, payload}, true, checkClose(payload)
	case h.OpCode.IsControl():
		return message{h.OpCode, payload}, true, nil
	case !a.inside && h.Fin:
		return finished(message{h.OpCode, payload})
	case !a.inside:
		a.inside, a.op = true, h.OpCode
	}
	a.whole = append(a.whole, payload...)
	if !h.Fin {
		return message{}, false, nil
	}
	m := message{a.op, a.whole}
	a.inside, a.whole = false, nil
	return finished(m)
}

func finished(m message) (message, bool, error) {
	if m.op == ws.OpText && !utf8.Valid(m.payload) {
		return m, false, &violation{CloseUTF8, "the text is no UTF-8"}
	}
	return m, true, nil
}

func checkClose(payload []byte) error {
	if len(payload) == 0 {
		return nil
	}
	code, reason := ws.ParseCloseFrameData(payload)
	if err := ws.CheckCloseFrameData(code, reason); err != nil || len(payload) == 1 {
		return &violation{CloseProtocol, "a close frame that says nothing that can be said"}
	}
	return nil
}

// again is a frame that brings another assembler to where this one is; nil if it is at the beginning of a message.
func (a *assembler) again() []byte {
	if !a.inside {
		return nil
	}
	h := ws.Header{OpCode: a.op, Masked: true, Length: int64(len(a.whole))} // masked with zeros: the bytes stay as they are
	return append(appendHeader(make([]byte, 0, len(a.whole)+ws.MaxHeaderSize), h), a.whole...)
}

// appendHeader writes a header; it always has room.
func appendHeader(b []byte, h ws.Header) []byte {
	var into [ws.MaxHeaderSize]byte
	w := bytes.NewBuffer(b)
	_ = ws.WriteHeaderBuffer(w, h, into[:])
	return w.Bytes()
}
