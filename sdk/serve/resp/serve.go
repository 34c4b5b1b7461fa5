package resp

import (
	"bytes"
	"errors"
	"time"

	"github.com/theseusd/theseus/sdk/serve"
)

// A Handler answers one command. args has at least one element, the command's name as the client wrote it; the bytes
// are valid until the handler returns. QUIT never gets here.
type Handler func(c *Conn, args [][]byte)

var errProto = errors.New("resp: the protocol is 2 or 3")

// Serve makes a handler of connections, for serve.Group.Stream, out of a handler of commands.
func Serve(h Handler) func(*serve.Conn) {
	return func(sc *serve.Conn) {
		l := &loop{sc: sc, h: h, c: Conn{c: sc}}
		l.c.recall()
		l.run()
	}
}

// A loop serves one connection. The bytes of buf from pos on are read and not used.
type loop struct {
	sc     *serve.Conn
	h      Handler
	c      Conn
	parser parser
	buf    []byte
	pos    int
	count  int // commands that the meter does not know of yet
}

// Sizes of the read buffer: what an idle connection costs, and what one that was busy may keep.
const (
	smallBuf = 512
	keptBuf  = 16 << 10
)

func (l *loop) run() {
	m := l.sc.Meter()
	for began := m.Now(); l.answered(m, began); began = m.Now() {
		l.c.flush()
		l.makeRoom()
		n, err := l.sc.ReadMore(l.buf[l.pos:], l.buf[len(l.buf):cap(l.buf)])
		if err != nil || l.c.failed != nil {
			return
		}
		l.buf = l.buf[:len(l.buf)+n]
	}
}

// answered is commands for the meter: those that have arrived together count as begun together, as for their client.
func (l *loop) answered(m *serve.Meter, began time.Duration) bool {
	goesOn := l.commands()
	if l.count > 0 {
		m.Record(began, l.count, l.c.failures)
		l.count, l.c.failures = 0, 0
	}
	return goesOn
}

// commands answers all commands that have arrived; false says that the connection ends here.
func (l *loop) commands() bool {
	for l.c.failed == nil {
		args, n, err := l.parser.next(l.buf[l.pos:])
		if err != nil {
			l.c.WriteError("ERR " + err.Error())
			l.c.flush()
			return false
		}
		if n == 0 {
			return true
		}
		if l.leaving() {
			return false
		}
		l.pos += n
		if len(args) > 0 && !l.command(args) {
			return false
		}
	}
	return false
}

// leaving hands over between two commands, when more of them have arrived than a park should wait for.
func (l *loop) leaving() bool {
	select {
	case <-l.sc.Parking():
	default:
		return false
	}
	l.c.flush()
	if l.c.failed == nil {
		l.sc.Handover(l.buf[l.pos:], nil)
	}
	return true
}

// command answers one command; false says that the connection ends.
func (l *loop) command(args [][]byte) bool {
	l.count++
	if len(args[0]) == 4 && bytes.EqualFold(args[0], []byte("QUIT")) {
		l.c.WriteOK()
		l.c.Close()
	} else {
		l.h(&l.c, args)
	}
	if l.c.closing {
		l.c.flush()
	}
	return !l.c.closing && l.c.failed == nil
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
