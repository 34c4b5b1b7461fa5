package resp

import (
	"math"
	"net"
	"strconv"

	"github.com/tidwall/redcon"

	"github.com/theseusd/theseus/sdk/serve"
)

// A Conn writes the replies to one client's commands. A command is answered by exactly one reply: one Write call, or
// an Array, Map or Set and as many as it announces. Replies are collected and sent together when no further command
// has arrived yet. A Conn belongs to its handler's goroutine.
type Conn struct {
	// Value is the handler's own, for as long as this process serves the connection.
	Value any

	c       *serve.Conn
	proto   int
	session []byte
	out     []byte
	closing bool
	failed  error
	dirty   bool // the session that travels is an older one

	collecting bool // nothing is sent now

	failures int // that the meter does not know of yet

	hold hold
	push push
}

// Proto is the version of the protocol that the client speaks: 2, or 3 after SetProto(3).
func (c *Conn) Proto() int { return c.proto }

// SetProto changes the protocol for the replies that follow, here and in every later version of the service.
// Anything but 2 and 3 is an error.
func (c *Conn) SetProto(proto int) error {
	if proto != 2 && proto != 3 {
		return errProto
	}
	c.proto, c.dirty = proto, true
	c.push.speaks(proto)
	return nil
}

// Session is what SetSession left, in this version of the service or in one before.
func (c *Conn) Session() []byte { return c.session }

// MaxSession is the most bytes a session may have.
const MaxSession = serve.MaxSession - sessionHead

// SetSession keeps what later versions have to know of the connection, such as its name or its user: at most MaxSession
// bytes, more is an error. It is meant for small things.
func (c *Conn) SetSession(b []byte) error {
	if len(b) > MaxSession {
		return errSession
	}
	c.session, c.dirty = append([]byte(nil), b...), true
	return nil
}

// Close ends the connection once the replies so far are sent.
func (c *Conn) Close() { c.closing = true }

// Parking is closed while this version is about to hand over; a command that waits should then reply and return.
func (c *Conn) Parking() <-chan struct{} { return c.c.Parking() }

// LocalAddr is the address that the client connected to.
func (c *Conn) LocalAddr() net.Addr { return c.c.LocalAddr() }

// RemoteAddr is the client's address.
func (c *Conn) RemoteAddr() net.Addr { return c.c.RemoteAddr() }

// flushSize is how many bytes of replies are collected at most before they are sent.
const flushSize = 64 << 10

func (c *Conn) spill() {
	if c.hold.muted {
		c.out = c.out[:c.hold.mark]
		return
	}
	if len(c.out) >= flushSize && !c.collecting {
		c.flush()
	}
}

// Collect says whether replies are collected however large they become, instead of being sent in pieces meanwhile: for
// a handler that holds a lock while it replies, since a client that does not read is waited for.
func (c *Conn) Collect(on bool) {
	if c.collecting = on; !on {
		c.spill()
	}
}

// Buffered is how many bytes of replies are collected and not sent.
func (c *Conn) Buffered() int { return len(c.out) }

// Truncate takes all but the first n bytes of the collected replies back: for a handler that collects, and finds out late
// that its answer is another one.
func (c *Conn) Truncate(n int) { c.out = c.out[:min(n, len(c.out))] }

// flush sends the replies; what cannot be sent because of a handover travels.
func (c *Conn) flush() {
	if len(c.out) == 0 || c.failed != nil {
		return
	}
	_, c.failed = c.c.Write(c.out)
	if c.out = c.out[:0]; cap(c.out) > 2*flushSize {
		c.out = nil
	}
}

// WriteOK replies OK.
func (c *Conn) WriteOK() { c.WriteString("OK") }

// WriteString replies with a simple string; line ends in it become spaces.
func (c *Conn) WriteString(s string) {
	c.out = redcon.AppendString(c.out, s)
	c.spill()
}

// WriteError replies with an error; msg begins with its code in capitals, such as "ERR no such key".
func (c *Conn) WriteError(msg string) {
	c.out = redcon.AppendError(c.out, msg)
	c.spill()
}

// WriteFailure is WriteError for what is the service's own fault and not the client's: the command counts as failed, and
// too many of them bring the version before back.
func (c *Conn) WriteFailure(msg string) {
	c.failures++
	c.WriteError(msg)
}

// WriteBulk replies with bytes.
func (c *Conn) WriteBulk(b []byte) {
	c.out = redcon.AppendBulk(c.out, b)
	c.spill()
}

// WriteBulkString replies with the bytes of s.
func (c *Conn) WriteBulkString(s string) {
	c.out = redcon.AppendBulkString(c.out, s)
	c.spill()
}

// WriteInt replies with an integer.
func (c *Conn) WriteInt(n int64) {
	c.out = redcon.AppendInt(c.out, n)
	c.spill()
}

// WriteNull replies that there is no value.
func (c *Conn) WriteNull() {
	if c.proto == 3 {
		c.out = append(c.out, "_\r\n"...)
		return
	}
	c.out = redcon.AppendNull(c.out)
}

// WriteNullArray replies that there is no list.
func (c *Conn) WriteNullArray() {
	if c.proto == 3 {
		c.WriteNull()
		return
	}
	c.out = append(c.out, "*-1\r\n"...)
}

// WriteArray announces n replies that follow.
func (c *Conn) WriteArray(n int) { c.out = redcon.AppendArray(c.out, n) }

// WriteMap announces n pairs of replies that follow, key and value in turn; RESP2 sees an array of 2n.
func (c *Conn) WriteMap(n int) { c.aggregate('%', n, 2*n) }

// WritePush announces a message of n parts that is no reply to a command; RESP2 sees an array.
func (c *Conn) WritePush(n int) { c.aggregate('>', n, n) }

// WriteSet announces n replies that follow; RESP2 sees an array.
func (c *Conn) WriteSet(n int) { c.aggregate('~', n, n) }

func (c *Conn) aggregate(kind byte, n3, n2 int) {
	if c.proto != 3 {
		c.WriteArray(n2)
		return
	}
	c.out = append(strconv.AppendInt(append(c.out, kind), int64(n3), 10), "\r\n"...)
}

// WriteBool replies with a truth value; RESP2 sees 1 or 0.
func (c *Conn) WriteBool(v bool) {
	switch {
	case c.proto == 3 && v:
		c.out = append(c.out, "#t\r\n"...)
	case c.proto == 3:
		c.out = append(c.out, "#f\r\n"...)
	case v:
		c.WriteInt(1)
	default:
		c.WriteInt(0)
	}
}

// WriteDouble replies with a number; RESP2 sees its text.
func (c *Conn) WriteDouble(f float64) {
	text := strconv.FormatFloat(f, 'g', -1, 64)
	switch {
	case math.IsInf(f, 1):
		text = "inf"
	case math.IsInf(f, -1):
		text = "-inf"
	case math.IsNaN(f):
		text = "nan"
	}
	if c.proto != 3 {
		c.WriteBulkString(text)
		return
	}
	c.out = append(append(append(c.out, ','), text...), "\r\n"...)
}
