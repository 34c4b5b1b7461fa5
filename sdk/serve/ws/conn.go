package ws

import (
	"errors"
	"math"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/theseusd/theseus/sdk/serve"
)

// Close codes of RFC 6455; those from 3000 on are the service's own.
const (
	CloseNormal    = 1000
	CloseGoingAway = 1001
	CloseProtocol  = 1002
	CloseUTF8      = 1007
	CloseTooBig    = 1009
	CloseError     = 1011
	CloseRestart   = 1012
)

// A Conn is one client. Its methods may be called from any goroutine, unless they say otherwise.
type Conn struct {
	// Value is the service's own, for as long as this process serves the connection.
	Value any

	c     *serve.EventConn
	limit int

	closing atomic.Bool
	ended   atomic.Bool

	mu       sync.Mutex // held while the session is written: nobody who sends waits for it
	failures int        // of the loop
}

// Send sends a message, whole and in the order of the calls, and never waits. If more than Server.MaxQueue bytes would wait
// for the client it sends nothing and returns serve.ErrSlow.
func (c *Conn) Send(text bool, message []byte) error {
	return c.SendFrame(Frame(text, message))
}

// Frame is a message as it is on the wire, to be sent to many.
func Frame(text bool, message []byte) []byte {
	op := ws.OpBinary
	if text {
		op = ws.OpText
	}
	return appendFrame(make([]byte, 0, len(message)+ws.MaxHeaderSize), op, message)
}

func appendFrame(b []byte, op ws.OpCode, payload []byte) []byte {
	return append(appendHeader(b, ws.Header{Fin: true, OpCode: op, Length: int64(len(payload))}), payload...)
}

// SendFrame is Send for a message that Frame has made.
func (c *Conn) SendFrame(frame []byte) error {
	if c.closing.Load() {
		return net.ErrClosed
	}
	return c.c.Push(frame, c.limit)
}

// Free is about how many bytes can be sent now before the client counts as slow.
func (c *Conn) Free() int { return max(c.limit-c.c.Waiting(), 0) }

// Close tells the client that the connection ends, and why; reasons longer than 123 bytes are cut. Messages are no longer
// given to the service. Only the first call counts.
func (c *Conn) Close(code int, reason string) {
	c.closeWith(closeFrame(code, reason))
}

// maxReason is the most bytes a close frame has for a reason.
const maxReason = 123

func closeFrame(code int, reason string) []byte {
	reason = strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "")
	body := ws.NewCloseFrameBody(ws.StatusCode(code), reason)
	return appendFrame(nil, ws.OpClose, body)
}

// closeWith has the next version know that the connection ends, tells the client, and ends the wait for its answer; false if it
// was not the first. If the client can be told no more, it is hung up, unless the connection is on its way to the next version.
func (c *Conn) closeWith(frame []byte) bool {
	if !c.closing.CompareAndSwap(false, true) {
		return false
	}
	c.mu.Lock()
	_ = c.keep(c.Session())
	c.mu.Unlock()
	switch err := c.c.Push(frame, math.MaxInt); err { // whatever waits, it is the last one
	case nil, serve.ErrHandover:
		c.hangUpLater()
	default:
		_ = c.c.Close()
	}
	return true
}

func (c *Conn) hangUpLater() {
	time.AfterFunc(CloseLimit, func() {
		if !c.ended.Load() {
			_ = c.c.Close()
		}
	})
}

// end is the end of the connection in this process.
func (c *Conn) end() {
	c.closing.Store(true)
	c.ended.Store(true)
}

// Parking is true when a handover waits for the message in hand, for as long as its budget lets it. It is for the goroutine of Message.
func (c *Conn) Parking() bool { return c.c.Parking() }

// Fail counts the message in hand as failed by the service's own fault. It is for the goroutine of Message.
func (c *Conn) Fail() { c.failures++ }

// Session is what SetSession left, in this version of the service or in one before.
func (c *Conn) Session() []byte { return c.c.Session()[1:] }

var errSession = errors.New("ws: the session is too large")

// SetSession keeps what later versions have to know of the connection, such as its user: at most MaxSession bytes, more is
// an error.
func (c *Conn) SetSession(b []byte) error {
	if len(b) > MaxSession {
		return errSession
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keep(b)
}

// RemoteAddr is the client's address.
func (c *Conn) RemoteAddr() net.Addr { return c.c.RemoteAddr() }

// What travels in front of the session: whether the connection is open, and whether it is being closed.
const (
	openBit    = 1
	closingBit = 2
)

func isOpen(session []byte) bool { return len(session) > 0 && session[0]&openBit != 0 }

// keep makes a session travel. The lock is held.
func (c *Conn) keep(session []byte) error {
	head := byte(openBit)
	if c.closing.Load() && !c.ended.Load() {
		head |= closingBit
	}
	return c.c.SetSession(append([]byte{head}, session...))
}

// recall is the other end of keep.
func (c *Conn) recall(session []byte) {
	if session[0]&closingBit != 0 {
		c.closing.Store(true)
		c.hangUpLater()
	}
}
