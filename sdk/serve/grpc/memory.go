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

	Trailers []byte `cbor:"9,keyasint,omitempty"` // behind the answer; okTrailers if there are none
}

var (
	tooLarge       = status.Newf(codes.ResourceExhausted, "a message has at most %d bytes", MaxMessage)
	tooManyHeaders = status.Newf(codes.ResourceExhausted, "the headers of a call have at most %d bytes", maxHeaders)
)

func newMemory() memory {
	return memory{Window: startWindow, Initial: startWindow, Frame: maxFrame, Streams: map[uint32]*stream{}}
}

// unchecked takes texts that are no UTF-8: headers may be such.
var unchecked = func() cbor.DecMode {
	mode, err := cbor.DecOptions{UTF8: cbor.UTF8DecodeInvalid}.DecMode()
	if err != nil {
		panic(err)
	}
	return mode
}()

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
	if err := unchecked.Unmarshal(b[4:n], m); err != nil {
		return 0, err
	}
	if m.Streams == nil {
		m.Streams = map[uint32]*stream{}
	}
	for _, id := range slices.Sorted(maps.Keys(m.Streams)) {
		s := m.Streams[id]
		m.buffered += s.size()
		if s.Done {
			m.waiting = append(m.waiting, id)
		}
	}
	return n, nil
}

// size is what a call counts towards maxBuffered.
func (s *stream) size() int {
	n := len(s.Path) + len(s.Timeout) + len(s.Body)
	for name, list := range s.Rest {
		for _, value := range list {
			n += len(name) + len(value) + fieldSize
		}
	}
	return n
}

func (m *memory) add(s *stream) {
	m.Streams[s.ID] = s
	m.buffered += s.size()
}

// answered keeps of a call its answer alone.
func (m *memory) answered(s *stream, a *answer) {
	m.buffered -= s.size()
	*s = stream{ID: s.ID, Window: s.Window, Done: true, Reply: a.message}
	if len(a.trailer) > 0 {
		s.Trailers = a.trailers()
	}
	m.waiting = append(m.waiting, s.ID)
}

func (m *memory) forget(id uint32) {
	s := m.Streams[id]
	if s == nil {
		return
	}
	m.buffered -= s.size()
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
	c.send()
	return nil
}

// send sends answers as far as the windows allow.
func (c *conn) send() {
	for len(c.waiting) > 0 && c.Window > 0 {
		i := slices.IndexFunc(c.waiting, func(id uint32) bool { return c.Streams[id].Window > 0 })
		if i < 0 {
			return
		}
		c.sendSome(c.Streams[c.waiting[i]])
	}
}

// sendSome sends one frame of an answer, and its end behind the last one.
func (c *conn) sendSome(s *stream) {
	n := int(min(int64(len(s.Reply)), c.Window, s.Window, int64(c.Frame)))
	c.out = append(addHeader(c.out, n, kindData, 0, s.ID), s.Reply[:n]...)
	s.Reply = s.Reply[n:]
	c.Window -= int64(n)
	s.Window -= int64(n)
	if len(s.Reply) == 0 {
		if s.Trailers == nil {
			s.Trailers = okTrailers
		}
		c.out = addBlock(c.out, s.ID, flagEndStream, s.Trailers)
		c.forget(s.ID)
	}
}
