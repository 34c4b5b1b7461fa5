package grpc

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/fxamacker/cbor/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// memory is what the next version has to know of a connection.
type memory struct {
	Greeted bool               `cbor:"1,keyasint"`
	Acked   bool               `cbor:"2,keyasint"` // the client uses no table for headers
	Last    uint32             `cbor:"3,keyasint"` // number of the last call
	Window  int64              `cbor:"4,keyasint"` // bytes of messages that the client takes, over all calls
	Initial int64              `cbor:"5,keyasint"` // and of a new call
	Frame   int                `cbor:"6,keyasint"` // largest frame that it takes
	Blocks  [][]byte           `cbor:"7,keyasint,omitempty"`
	Streams map[uint32]*stream `cbor:"8,keyasint,omitempty"`

	waiting  []uint32 // calls whose answer is not sent whole, in order
	buffered int      // bytes of requests
}

// stream is a call that has come in part, or whose answer is not sent whole.
type stream struct {
	ID      uint32      `cbor:"1,keyasint"`
	Path    string      `cbor:"2,keyasint"`
	Timeout string      `cbor:"3,keyasint,omitempty"`
	Rest    metadata.MD `cbor:"4,keyasint,omitempty"`
	Window  int64       `cbor:"5,keyasint"`
	Body    []byte      `cbor:"6,keyasint,omitempty"`
	Done    bool        `cbor:"7,keyasint,omitempty"` // it was answered
	Reply   []byte      `cbor:"8,keyasint,omitempty"` // what is left of the answer
}

var tooLarge = status.Newf(codes.ResourceExhausted, "a message has at most %d bytes", MaxMessage)

func newMemory() memory {
	return memory{Window: startWindow, Initial: startWindow, Frame: maxFrame, Streams: map[uint32]*stream{}}
}

// encode adds the memory to b: its length, and then itself.
func (m *memory) encode(b []byte) []byte {
	text, err := cbor.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("serve/grpc: %v", err)) // there is nothing in it that cannot be written
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...)
}

// decode reads what encode has written at the beginning of b; n is 0 if it has not come whole.
func (m *memory) decode(b []byte) (n int, err error) {
	if len(b) < 4 || len(b)-4 < int(be32(b)) {
		return 0, nil
	}
	n = 4 + int(be32(b))
	if err := cbor.Unmarshal(b[4:n], m); err != nil {
		return 0, err
	}
	if m.Streams == nil {
		m.Streams = map[uint32]*stream{}
	}
	for _, id := range slices.Sorted(maps.Keys(m.Streams)) {
		s := m.Streams[id]
		m.buffered += len(s.Body)
		if s.Done {
			m.waiting = append(m.waiting, id)
		}
	}
	return n, nil
}

func (m *memory) forget(id uint32) {
	s := m.Streams[id]
	if s == nil {
		return
	}
	m.buffered -= len(s.Body)
	delete(m.Streams, id)
	m.waiting = slices.DeleteFunc(m.waiting, func(w uint32) bool { return w == id })
}

// initialWindow changes the windows of all calls by as much as that of new ones changes.
func (m *memory) initialWindow(n int64) {
	for _, s := range m.Streams {
		s.Window += n - m.Initial
	}
	m.Initial = n
}

// window makes room for answers.
func (c *conn) window(f frame) error {
	if len(f.payload) != 4 {
		return broken{errFrameSize, "a window that has not four bytes"}
	}
	n := int64(be32(f.payload) & largestOfAll)
	room := &c.Window
	if f.id != 0 {
		s := c.Streams[f.id]
		if s == nil {
			return nil
		}
		room = &s.Window
	}
	if *room += n; n == 0 || *room > largestOfAll {
		return broken{errFlow, "a window that is too large"}
	}
	return c.send()
}

// send sends answers as far as the windows allow.
func (c *conn) send() error {
	for len(c.waiting) > 0 && c.Window > 0 {
		i := slices.IndexFunc(c.waiting, func(id uint32) bool { return c.Streams[id].Window > 0 })
		if i < 0 {
			return nil
		}
		c.sendSome(c.Streams[c.waiting[i]])
	}
	return nil
}

// sendSome sends one frame of an answer, and its end behind the last one.
func (c *conn) sendSome(s *stream) {
	n := int(min(int64(len(s.Reply)), c.Window, s.Window, int64(c.Frame)))
	c.out = append(addHeader(c.out, n, kindData, 0, s.ID), s.Reply[:n]...)
	s.Reply = s.Reply[n:]
	c.Window -= int64(n)
	s.Window -= int64(n)
	if len(s.Reply) == 0 {
		c.out = addBlock(c.out, s.ID, flagEndStream, okTrailers)
		c.forget(s.ID)
	}
}
