package resp

import (
	"bytes"
	"errors"
	"net"
	"time"

	"github.com/theseusd/theseus/sdk/serve"
	"github.com/theseusd/theseus/sdk/serve/internal/buf"
)

// A Handler answers one command. args has at least one element, the command's name as the client wrote it; the bytes
// are valid until the handler returns. QUIT never gets here.
type Handler func(c *Conn, args [][]byte)

var (
	errProto   = errors.New("resp: the protocol is 2 or 3")
	errSession = errors.New("resp: the session is too large")
)

// A Server is a Handler with what it has to know of a connection's life.
type Server struct {
	Handle Handler
	// Resume is told of a connection with Pushing(true) that came from another process, before any command is answered
	// here: Session, Value and Push may be used. It must be quick.
	Resume func(c *Conn)
	// Closed is told, once, that such a connection is not served here any more: it has ended, or was handed over.
	Closed func(c *Conn)
}

// Serve makes a handler of connections, for serve.Group.Stream, out of a handler of commands.
func Serve(h Handler) func(*serve.Conn) { return Server{Handle: h}.serve }

// Stream serves the connections of a listener.
func (s Server) Stream(g *serve.Group, name string, ln net.Listener) {
	g.StreamEarly(name, ln, s.serve, serve.Early{Wanted: wantsPushes, Resume: s.early, Lost: s.lost})
}

func (s Server) early(sc *serve.Conn, session []byte) { sc.Value = s.loop(sc, session) }

// lost is the end of a connection that early has made known and that is not served after all.
func (s Server) lost(sc *serve.Conn) { s.ended(sc.Value.(*loop)) }

func (s Server) loop(sc *serve.Conn, session []byte) *loop {
	l := &loop{sc: sc, s: s, c: Conn{c: sc}, buf: buf.New(keptBuf, nil)}
	l.c.recall(session)
	sc.Before(l.c.hold.held)
	if l.c.push.on && s.Resume != nil {
		s.Resume(&l.c)
	}
	return l
}

func (s Server) serve(sc *serve.Conn) {
	l, ok := sc.Value.(*loop)
	if !ok {
		l = s.loop(sc, sc.Session())
	}
	sc.Value = nil
	l.run()
	s.ended(l)
}

// ended is the end of a connection in this process.
func (s Server) ended(l *loop) {
	if l.c.push.on && s.Closed != nil {
		s.Closed(&l.c)
	}
}

// A loop serves one connection.
type loop struct {
	sc     *serve.Conn
	s      Server
	c      Conn
	parser parser
	buf    buf.Buffer
	count  int  // commands that the meter does not know of yet
	rests  bool // commands are left, for when it is decided who goes on
}

// keptBuf is how many bytes the read buffer of a connection that was busy may keep.
const keptBuf = 16 << 10

func (l *loop) run() {
	m := l.sc.Meter()
	for began := m.Now(); l.answered(m, began); began = m.Now() {
		l.c.settle()
		if err := l.more(); err != nil || l.c.failed != nil {
			return
		}
		l.c.push.begin()
	}
}

// more waits for further commands, or for the decision of a handover if some are left.
func (l *loop) more() error {
	if l.rests {
		l.rests = false
		return l.sc.Rest(l.buf.Unused())
	}
	return l.buf.Read(l.sc)
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

// commands answers all commands that have arrived, or those that a handover waits for; false says that the connection ends
// here.
func (l *loop) commands() bool {
	for l.c.failed == nil {
		args, n, err := l.parser.next(l.buf.Unused())
		if err != nil {
			l.c.WriteError("ERR " + err.Error())
			l.c.flush()
			return false
		}
		if n == 0 {
			return true
		}
		if l.leaving() {
			return true
		}
		raw := l.buf.Use(n)
		if len(args) > 0 && !l.command(args, raw) {
			return false
		}
	}
	return false
}

// leaving lets a handover come between two commands, when more of them have arrived than a park should wait for.
func (l *loop) leaving() bool {
	select {
	case <-l.sc.Parking():
		l.rests = true
	default:
	}
	return l.rests
}

// command answers one command; false says that the connection ends.
func (l *loop) command(args [][]byte, raw []byte) bool {
	if l.c.replays() {
		l.again(args, raw)
		return true
	}
	l.count++
	if len(args[0]) == 4 && bytes.EqualFold(args[0], []byte("QUIT")) {
		l.c.WriteOK()
		l.c.Close()
	} else {
		l.s.Handle(&l.c, args)
		l.c.heldBack(raw)
	}
	if l.c.closing {
		l.c.flush()
	}
	return !l.c.closing && l.c.failed == nil
}
