package ws

import (
	"errors"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/sdk/serve"
	"github.com/theseusd/theseus/sdk/serve/internal/buf"
)

// A loop serves one connection.
type loop struct {
	d   *door
	sc  *serve.Conn
	c   Conn
	asm assembler
	buf buf.Buffer
	n   int // messages that the meter does not know of yet
}

// keptBuf is how many bytes the read buffer of a connection that was busy may keep.
const keptBuf = 8 << 10

func (d *door) newLoop(sc *serve.Conn) *loop {
	l := &loop{d: d, sc: sc, c: Conn{c: sc, limit: d.MaxQueue}, asm: assembler{limit: d.MaxMessage}, buf: buf.New(keptBuf, nil)}
	sc.Before(l.asm.again)
	return l
}

// errOver ends a connection in order.
var errOver = errors.New("ws: the connection is over")

// run serves the connection, and says why it has ended.
func (l *loop) run() error {
	m := l.sc.Meter()
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
		if err := l.buf.Read(l.sc); err != nil {
			return err
		}
	}
}

// messages does what has arrived.
func (l *loop) messages() error {
	for len(l.buf.Unused()) > 0 {
		if err := l.rest(); err != nil {
			return err
		}
		m, done, n, err := l.asm.next(l.buf.Unused())
		if v := new(violation); errors.As(err, &v) {
			l.c.Close(v.code, v.text)
			return l.discard()
		}
		if n == 0 {
			return nil
		}
		l.buf.Use(n)
		if done {
			if err := l.message(m); err != nil {
				return err
			}
		}
	}
	return nil
}

// rest lets a handover come between two messages, when more of them have arrived than a park should wait for.
func (l *loop) rest() error {
	select {
	case <-l.sc.Parking():
		return l.sc.Rest(l.buf.Unused())
	default:
		return nil
	}
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

// discard says no more to the client of a broken connection, and waits for it to leave: hung up at once it might not see
// why.
func (l *loop) discard() error {
	_ = l.sc.Flush()
	if raw, err := l.sc.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_WR) })
	}
	var sink [512]byte
	for {
		if _, err := l.sc.ReadMore(nil, sink[:]); err != nil {
			return err
		}
	}
}
