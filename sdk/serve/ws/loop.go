package ws

import (
	"errors"
	"sync"

	"github.com/gobwas/ws"

	"github.com/theseusd/theseus/sdk/serve"
	"github.com/theseusd/theseus/sdk/serve/internal/buf"
)

// A loop serves one connection.
type loop struct {
	d *door
	c Conn
	r *reader // nil while nothing of a message is here
	n int     // messages that the meter does not know of yet
}

// A reader has what was read of a connection and not used. Connections share them, since few have one at a time.
type reader struct {
	buf buf.Buffer
	asm assembler
}

// keptBuf is how many bytes the buffer of a reader may keep.
const keptBuf = 8 << 10

var readers = sync.Pool{New: func() any { return newReader(nil) }}

func newReader(b []byte) *reader { return &reader{buf: buf.New(keptBuf, b)} }

// source is a connection to read from.
type source struct{ c *serve.EventConn }

func (s source) ReadMore(_, free []byte) (int, error) { return s.c.Read(free) }

// held is what another process has to read again: the part of a message that has come, and what comes after it.
func (l *loop) held() []byte {
	if l.r == nil {
		return nil
	}
	return append(l.r.asm.again(), l.r.buf.Unused()...)
}

// errOver ends a connection in order.
var errOver = errors.New("ws: the connection is over")

// ready does what has arrived; nil if nothing is left to be done for now.
func (l *loop) ready() error {
	if l.r == nil {
		l.r = readers.Get().(*reader)
	}
	l.r.asm.limit = l.d.MaxMessage
	err := l.read()
	if len(l.r.buf.Unused()) == 0 && !l.r.asm.inside {
		readers.Put(l.r)
		l.r = nil
	}
	if errors.Is(err, serve.ErrWait) {
		return nil
	}
	return err
}

func (l *loop) read() error {
	m := l.c.c.Meter()
	for {
		began := m.Now()
		err := l.messages()
		if l.n > 0 {
			m.Record(began, l.n, l.c.failures)
			l.n, l.c.failures = 0, 0
		}
		if err != nil {
			return err
		}
		if err := l.r.buf.Read(source{l.c.c}); err != nil {
			return err
		}
	}
}

// messages does what was read. A handover may come between two messages.
func (l *loop) messages() error {
	for b := l.r.buf.Unused(); len(b) > 0; b = l.r.buf.Unused() {
		if l.c.c.Parking() {
			return serve.ErrWait
		}
		m, done, n, err := l.r.asm.next(b)
		if err != nil {
			return l.refuse(err)
		}
		if n == 0 {
			return nil
		}
		l.r.buf.Use(n)
		if done {
			if err := l.message(m); err != nil {
				return err
			}
		}
	}
	return nil
}

// refuse ends a connection that does not keep to the protocol.
func (l *loop) refuse(err error) error {
	v := new(violation)
	if !errors.As(err, &v) {
		return err
	}
	if first := l.c.closeWith(closeFrame(v.code, v.text)); first && l.d.Broken != nil {
		l.d.Broken(&l.c, v.code)
	}
	l.c.c.Discard()
	l.r = newReader(nil)
	return serve.ErrWait
}

func (l *loop) message(m message) error {
	closing := l.c.closing.Load()
	switch {
	case m.op == ws.OpClose:
		l.c.closeWith(appendFrame(nil, ws.OpClose, m.payload)) // its own words, as an answer
		return errOver
	case closing, m.op == ws.OpPong:
	case m.op == ws.OpPing:
		return l.c.SendFrame(appendFrame(nil, ws.OpPong, m.payload))
	case l.d.Message != nil:
		l.n++
		l.d.Message(&l.c, m.op == ws.OpText, m.payload)
	}
	return nil
}
