package ws

import (
	"errors"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/sdk/serve"
)

// A loop serves one connection. The bytes of buf from pos on are read and not used.
type loop struct {
	d    *door
	sc   *serve.Conn
	c    Conn
	asm  assembler
	buf  []byte
	pos  int
	told bool // the next process is told of a message in fragments
	n    int  // messages that the meter does not know of yet
}

// Sizes of the read buffer: what an idle connection costs, and what one that was busy may keep.
const (
	smallBuf = 512
	keptBuf  = 8 << 10
)

// errOver ends a connection in order.
var errOver = errors.New("ws: the connection is over")

// run serves the connection, and says why it has ended.
func (l *loop) run() error {
	l.asm.limit = l.d.MaxMessage
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
		l.settle()
		l.makeRoom()
		n, err := l.sc.ReadMore(l.buf[l.pos:], l.buf[len(l.buf):cap(l.buf)])
		if err != nil {
			return err
		}
		l.buf = l.buf[:len(l.buf)+n]
	}
}

// settle tells the next process of the fragments that are here.
func (l *loop) settle() {
	if l.asm.inside || l.told {
		l.sc.Before(l.asm.again())
		l.told = l.asm.inside
	}
}

// messages does what has arrived.
func (l *loop) messages() error {
	for l.pos < len(l.buf) {
		if err := l.rest(); err != nil {
			return err
		}
		m, done, n, err := l.asm.next(l.buf[l.pos:])
		if v := new(violation); errors.As(err, &v) {
			l.c.Close(v.code, v.text)
			return l.discard()
		}
		if n == 0 {
			return nil
		}
		l.pos += n
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
		l.settle()
		return l.sc.Rest(l.buf[l.pos:])
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
	var sink [smallBuf]byte
	for {
		if _, err := l.sc.ReadMore(nil, sink[:]); err != nil {
			return err
		}
	}
}

// makeRoom makes free space behind what is not used: more if the last read took all there was, little if nothing is
// left over from a busy time.
func (l *loop) makeRoom() {
	rest, size := l.buf[l.pos:], max(cap(l.buf), smallBuf)
	switch {
	case len(l.buf) == cap(l.buf) && (size < keptBuf || len(rest) > size/2):
		size *= 2
	case len(rest) == 0 && size > keptBuf:
		size = smallBuf
	}
	switch {
	case size != cap(l.buf):
		l.buf = append(make([]byte, 0, size), rest...)
	case l.pos > 0:
		l.buf = l.buf[:copy(l.buf[:size], rest)]
	}
	l.pos = 0
}
