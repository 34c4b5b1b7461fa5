package ws

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/theseusd/theseus/sdk/serve"
)

// Limits.
const (
	MaxHeader      = 16 << 10         // bytes of an HTTP request's header
	MaxMessage     = 64 << 10         // bytes of a message, unless Server.MaxMessage says otherwise
	MaxQueue       = 1 << 20          // bytes that wait for a client, unless Server.MaxQueue says otherwise
	HandshakeLimit = 10 * time.Second // for a request to arrive
	CloseLimit     = 2 * time.Second  // for the client's answer to a close
)

// MaxSession is the most bytes a session may have.
const MaxSession = serve.MaxSession - 1

// A Server is what is to be done with connections. Its functions may be nil.
type Server struct {
	// Admit looks at the request of a client that wants to be a WebSocket. The session that it returns is the connection's. An
	// error refuses it: a *Refusal with its own status and text; any other with 403, and it is logged, not told.
	Admit func(r *http.Request, protocol string) (session []byte, err error)
	// Open is told of a connection before its first message.
	Open func(c *Conn)
	// Message gets a whole message; its bytes are valid until it returns.
	Message func(c *Conn, text bool, message []byte)
	// Resume is told of an open connection that came from another process, before anything is read here. All of Conn may be used.
	// It must be quick, and may be called for several connections at once.
	Resume func(c *Conn)
	// Closed is told, once, that a connection that Open or Resume was told of is not served here any more: it has ended or, if
	// moved, it was handed over.
	Closed func(c *Conn, moved bool)
	// Broken is told, before Closed, of a connection that is closed here because its client does not keep to RFC 6455 or sends more
	// than MaxMessage, and with which code.
	Broken func(c *Conn, code int)

	// HTTP is for all other requests; they are answered with 404 if it is nil. A handover waits for those in hand, as for those of
	// any listener for HTTP, and their contexts end as there. The timeouts are those of http.Server: a client that stops in the
	// middle of a request, or of its answer, would have each switch called off.
	HTTP         http.Handler
	ReadTimeout  time.Duration
	WriteTimeout time.Duration

	Origins    []string // hosts beside the service's own whose pages may connect; "*" is any
	Farewell   Farewell // for clients of a service that stops
	Protocols  []string // for Sec-WebSocket-Protocol; the client's first that is here is taken
	MaxConns   int      // open WebSockets; a client too many is refused with 503. No bound if 0
	MaxMessage int
	MaxQueue   int
}

// Farewell is the close that clients are sent when the service stops and no other version takes over: CloseGoingAway if Code
// is 0.
type Farewell struct {
	Code   int
	Reason string
}

func (f Farewell) frame() []byte {
	if f.Code == 0 {
		f.Code = CloseGoingAway
	}
	return closeFrame(f.Code, f.Reason)
}

// Refusal is an error of Admit with a status of its own.
type Refusal struct {
	Status int
	Text   string
}

func (r *Refusal) Error() string { return r.Text }

// Stream serves the connections of a listener.
func (s Server) Stream(g *serve.Group, name string, ln net.Listener) {
	d := s.door()
	g.Events(name, ln, d.handshake, serve.Events{
		Wanted: isOpen, Resume: d.resume, Ready: ready, Held: held, Farewell: d.last, Closed: d.ended,
	})
}

func (s Server) door() *door {
	if s.MaxMessage == 0 {
		s.MaxMessage = MaxMessage
	}
	if s.MaxQueue == 0 {
		s.MaxQueue = MaxQueue
	}
	return &door{Server: s, farewell: s.Farewell.frame()}
}

// door is a server with what it makes for itself.
type door struct {
	Server
	farewell []byte
	web      *web // for plain requests
	once     sync.Once
	open     atomic.Int64 // WebSockets
}

func (d *door) newLoop(c *serve.EventConn) *loop {
	l := &loop{d: d, c: Conn{c: c, limit: d.MaxQueue}}
	c.Value = l
	return l
}

func loopOf(c *serve.EventConn) *loop { return c.Value.(*loop) }

func (d *door) resume(c *serve.EventConn, session []byte) {
	d.open.Add(1) // it travels, however many there are
	l := d.newLoop(c)
	l.c.recall(session)
	if d.Resume != nil {
		d.Resume(&l.c)
	}
}

func ready(c *serve.EventConn) error { return loopOf(c).ready() }

func held(c *serve.EventConn) []byte { return loopOf(c).held() }

// last is for the client when the service stops, unless it has been told another reason.
func (d *door) last(c *serve.EventConn) []byte {
	if loopOf(c).c.closing.Swap(true) {
		return nil
	}
	return d.farewell
}

// ended is the end of an open connection in this process, and why.
func (d *door) ended(c *serve.EventConn, err error) {
	l := loopOf(c)
	l.c.end()
	d.open.Add(-1)
	if d.Closed != nil {
		d.Closed(&l.c, errors.Is(err, serve.ErrHandover))
	}
}
