package grpc

import (
	"errors"
	"net"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/theseusd/theseus/sdk/serve"
)

// link is what is needed of a connection.
type link interface {
	Read(p []byte) (int, error)
	ReadMore(held, free []byte) (int, error)
	Write(p []byte) (int, error)
	Handover(unread, unsent []byte)
	Parking() <-chan struct{}
	Session() []byte
	SetSession(b []byte) error
	Meter() *serve.Meter
	RemoteAddr() net.Addr
}

var _ link = (*serve.Conn)(nil)

// conn serves one connection. The bytes of buf from pos on are read and not used.
type conn struct {
	memory
	s     *Server
	link  link
	table *hpack.Decoder
	head  headers // that the table is reading

	buf           []byte
	pos           int
	out, held     []byte
	replayed      int           // bytes of headers that the next version would have to read again
	began         time.Duration // when the bytes in hand were read, for the meter
	calls, failed int
}

func newConn(s *Server, l link) *conn {
	c := &conn{s: s, link: l, memory: newMemory()}
	c.table = hpack.NewDecoder(4096, func(f hpack.HeaderField) { c.head.add(f.Name, f.Value) })
	c.table.SetMaxStringLength(maxHeaders)
	return c
}

// Sizes of the read buffer: what an idle connection costs, and what one that was busy may keep.
const (
	smallBuf = 1 << 10
	keptBuf  = 64 << 10
)

// run serves until the connection ends or goes to another version.
func (c *conn) run() {
	if err := c.begin(); err != nil {
		return
	}
	for c.work() {
		if c.read() != nil {
			return
		}
	}
}

// begin greets a new connection, or goes on where another version was.
func (c *conn) begin() error {
	if len(c.link.Session()) > 0 {
		return c.recall()
	}
	c.out = addSettings(c.out)
	return c.link.SetSession([]byte{1}) // from here on, what is unread begins with the memory
}

// recall reads the memory of the version before.
func (c *conn) recall() error {
	for {
		n, err := c.memory.decode(c.buf)
		if err != nil {
			return err
		}
		if n > 0 {
			c.pos = n
			return c.replay()
		}
		if err := c.more(c.buf); err != nil {
			return err
		}
	}
}

// replay gives the table what it had read in the version before.
func (c *conn) replay() error {
	for _, block := range c.Blocks {
		c.replayed += len(block) + 1
		if _, err := c.table.Write(block); err != nil {
			return err
		}
	}
	c.head = headers{}
	return nil
}

// read waits for more. A connection without calls under way has a short memory, and travels without being woken; the
// memory of another one is written only if it travels.
func (c *conn) read() error {
	small := len(c.Streams) == 0 && len(c.Blocks) == 0
	if small {
		c.held = append(c.memory.encode(c.held[:0]), c.buf[c.pos:]...)
	}
	rest := c.buf[c.pos:]
	c.buf, c.pos = append(c.buf[:0], rest...), 0
	if len(c.buf) == 0 && cap(c.buf) > keptBuf {
		c.buf = nil
	}
	if small {
		return c.more(c.held)
	}
	n, err := c.link.Read(c.room())
	c.got(n)
	if errors.Is(err, serve.ErrHandover) {
		c.handover()
	}
	return err
}

func (c *conn) more(held []byte) error {
	n, err := c.link.ReadMore(held, c.room())
	c.got(n)
	return err
}

// room is the free part of the buffer.
func (c *conn) room() []byte {
	if len(c.buf) == cap(c.buf) {
		c.buf = append(make([]byte, 0, max(2*cap(c.buf), smallBuf)), c.buf...)
	}
	return c.buf[len(c.buf):cap(c.buf)]
}

func (c *conn) got(n int) {
	c.buf = c.buf[:len(c.buf)+max(n, 0)]
	c.began = c.link.Meter().Now()
}

// handover offers the connection to the next version.
func (c *conn) handover() { c.link.Handover(append(c.memory.encode(nil), c.buf[c.pos:]...), nil) }

// work uses what has come, and sends the answers; false says that the connection ends here, or goes.
func (c *conn) work() bool {
	err := c.frames()
	if c.calls > 0 {
		c.link.Meter().Record(c.began, c.calls, c.failed)
		c.calls, c.failed = 0, 0
	}
	var bad broken
	if errors.As(err, &bad) {
		c.out = addGoAway(c.out, c.Last, bad)
	}
	if !c.flush() {
		return false
	}
	if errors.Is(err, serve.ErrHandover) {
		c.handover()
	}
	return err == nil
}

// flushSize is how many bytes of answers are collected at most before they are sent.
const flushSize = 64 << 10

func (c *conn) flush() bool {
	if len(c.out) == 0 {
		return true
	}
	_, err := c.link.Write(c.out)
	if c.out = c.out[:0]; cap(c.out) > 2*flushSize {
		c.out = nil
	}
	return err == nil
}

// frames uses all frames that have come whole.
func (c *conn) frames() error {
	if !c.Greeted {
		come := c.buf[c.pos:min(c.pos+len(preface), len(c.buf))]
		if string(come) != preface[:len(come)] {
			return broken{errProtocol, "this is not HTTP/2 with prior knowledge"}
		}
		if len(come) < len(preface) {
			return nil
		}
		c.Greeted = true
		c.pos += len(preface)
	}
	for {
		f, n, err := frameAt(c.buf[c.pos:])
		if n == 0 || err != nil {
			return err
		}
		if f.kind == kindHeaders {
			if c.leaving() {
				return serve.ErrHandover
			}
			if f, n, err = c.join(f, n); n == 0 || err != nil {
				return err
			}
		}
		c.pos += n
		if err := c.use(f); err != nil {
			return err
		}
		if len(c.out) >= flushSize && !c.flush() {
			return errGone
		}
	}
}

var errGone = errors.New("the client has gone")

// leaving is true while this version is about to hand over: no further call is begun.
func (c *conn) leaving() bool {
	select {
	case <-c.link.Parking():
		return true
	default:
		return false
	}
}

// join adds the frames that continue a header, which have to follow at once; n is 0 if they have not come whole.
func (c *conn) join(f frame, n int) (frame, int, error) {
	payload, err := f.unpad()
	if err != nil {
		return f, 0, err
	}
	whole := payload[:len(payload):len(payload)]
	for pieces := 1; !f.has(flagEndHeaders); pieces++ {
		g, m, err := frameAt(c.buf[c.pos+n:])
		if m == 0 || err != nil {
			return f, 0, err
		}
		if g.kind != kindContinuation || g.id != f.id {
			return f, 0, broken{errProtocol, "a header without its end"}
		}
		if whole = append(whole, g.payload...); len(whole) > maxHeaders || pieces == maxPieces {
			return f, 0, broken{errCalm, "too many headers"}
		}
		f.flags |= g.flags & flagEndHeaders
		n += m
	}
	f.payload = whole
	return f, n, nil
}

// use does what a frame says.
func (c *conn) use(f frame) error {
	switch f.kind {
	case kindData:
		return c.data(f)
	case kindHeaders:
		return c.header(f)
	case kindReset:
		c.forget(f.id)
	case kindSettings:
		return c.settings(f)
	case kindPing:
		return c.ping(f)
	case kindWindow:
		return c.window(f)
	case kindPush, kindContinuation:
		return broken{errProtocol, "a frame that a client does not send here"}
	}
	return nil // PRIORITY, GOAWAY, and what this version does not know
}

func (c *conn) ping(f frame) error {
	if len(f.payload) != 8 {
		return broken{errFrameSize, "a ping that has not eight bytes"}
	}
	if !f.has(flagAck) {
		c.out = addFrame(c.out, kindPing, flagAck, 0, f.payload...)
	}
	return nil
}

// settings takes what the client wants to be sent.
func (c *conn) settings(f frame) error {
	switch {
	case f.has(flagAck):
		c.Acked, c.Blocks = true, nil // from its next header on the client uses no table
		return nil
	case len(f.payload)%6 != 0:
		return broken{errFrameSize, "settings that are not six bytes each"}
	}
	for p := f.payload; len(p) > 0; p = p[6:] {
		value := be32(p[2:])
		switch int(p[0])<<8 | int(p[1]) {
		case setInitialWindow:
			if value > largestOfAll {
				return broken{errFlow, "a window that is too large"}
			}
			c.initialWindow(int64(value))
		case setFrame:
			if value < maxFrame || value > 1<<24-1 {
				return broken{errProtocol, "frames of a forbidden size"}
			}
			c.Frame = int(value)
		}
	}
	c.out = addFrame(c.out, kindSettings, flagAck, 0)
	c.send()
	return nil
}

// header begins a call, or ends one whose client sends trailers.
func (c *conn) header(f frame) error {
	c.head = headers{}
	if !c.Acked {
		c.Blocks = append(c.Blocks, append([]byte(nil), f.payload...))
		if c.replayed += len(f.payload) + 1; c.replayed > maxHeaders {
			return broken{errCalm, "the settings are not acknowledged"}
		}
	}
	if _, err := c.table.Write(f.payload); err != nil {
		return broken{errCompress, err.Error()}
	}
	if err := c.table.Close(); err != nil {
		return broken{errCompress, err.Error()}
	}
	if s := c.Streams[f.id]; s != nil {
		return c.ended(s, f)
	}
	if f.id%2 == 0 || f.id <= c.Last {
		return broken{errProtocol, "a call with a number that was there already"}
	}
	c.Last = f.id
	s := &stream{ID: f.id, Path: c.head.path, Timeout: c.head.timeout, Rest: c.head.rest, Window: c.Initial}
	switch {
	case c.head.size > maxHeaders:
		c.out = addFailure(c.out, f.id, tooManyHeaders)
		return nil
	case !c.head.isCall():
		c.out = addBlock(c.out, f.id, flagEndStream, notGRPC)
		return nil
	case len(c.Streams) >= MaxStreams || c.buffered+s.size() > maxBuffered:
		c.out = addNumber(c.out, kindReset, f.id, errRefused)
		return nil
	}
	c.add(s)
	return c.ended(s, f)
}

// data takes a part of a message. What it takes of the windows is given back at once; the bounds are others.
func (c *conn) data(f frame) error {
	p, err := f.unpad()
	if err != nil {
		return err
	}
	if len(f.payload) > 0 {
		c.out = addNumber(c.out, kindWindow, 0, uint32(len(f.payload)))
	}
	s := c.Streams[f.id]
	switch {
	case f.id > c.Last || f.id == 0:
		return broken{errProtocol, "data of no call"}
	case s == nil || s.Done:
		return nil // it was refused, or has ended
	case len(s.Body)+len(p) > MaxMessage+5 || c.buffered+len(p) > maxBuffered:
		c.out = addFailure(c.out, f.id, tooLarge)
		c.forget(f.id)
		return nil
	}
	s.Body = append(s.Body, p...)
	c.buffered += len(p)
	return c.ended(s, f)
}

// ended answers a call that is complete.
func (c *conn) ended(s *stream, f frame) error {
	if !f.has(flagEndStream) || s.Done {
		return nil
	}
	a := c.s.answer(c.link.RemoteAddr(), headers{path: s.Path, timeout: s.Timeout, rest: s.Rest}, s.Body)
	c.count(a)
	if a.status != nil {
		c.out = a.addTo(c.out, s.ID)
		c.forget(s.ID)
		return nil
	}
	c.out = addBlock(c.out, s.ID, 0, a.headers())
	c.answered(s, a)
	c.send()
	return nil
}

func (c *conn) count(a *answer) {
	c.calls++
	if a.ours() {
		c.failed++
	}
}
