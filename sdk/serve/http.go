package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// httpDoor is what stands between a listener and an author's http.Server: to the server it is a listener that never
// ends, and through the server's hooks it learns what each connection is doing.
type httpDoor struct {
	d       *door
	srv     *http.Server
	tls     bool
	accepts chan net.Conn
	closed  chan struct{} // the author ended the server
	once    sync.Once

	connState   func(net.Conn, http.ConnState) // the author's, may be nil
	connContext func(context.Context, net.Conn) context.Context
}

func newHTTPDoor(d *door, srv *http.Server) *httpDoor {
	h := &httpDoor{
		d: d, srv: srv, accepts: make(chan net.Conn), closed: make(chan struct{}),
		connState: srv.ConnState, connContext: srv.ConnContext,
	}
	t := srv.TLSConfig
	h.tls = t != nil && (len(t.Certificates) > 0 || t.GetCertificate != nil || t.GetConfigForClient != nil)
	srv.ConnState, srv.ConnContext = h.state, h.context
	srv.Handler = metered{m: &d.g.meter, h: srv.Handler}
	return h
}

// start runs the author's server for good.
func (h *httpDoor) start() {
	go func() {
		err := h.run()
		_ = h.Close()
		if !errors.Is(err, http.ErrServerClosed) {
			h.d.g.log.Error("the HTTP server ended", "listener", h.d.name, "error", err)
		}
	}()
}

func (h *httpDoor) run() error {
	if h.tls {
		return h.srv.ServeTLS(h, "", "")
	}
	return h.srv.Serve(h)
}

// deliver gives a connection to the server.
func (h *httpDoor) deliver(c *httpConn) {
	select {
	case h.accepts <- c:
	case <-h.closed:
		_ = c.Close()
	}
}

// Accept gives the server the next connection.
func (h *httpDoor) Accept() (net.Conn, error) {
	select {
	case c := <-h.accepts:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close ends the server's serving; the listener itself stays open.
func (h *httpDoor) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr is the listener's address.
func (h *httpDoor) Addr() net.Addr { return h.d.ln.Addr() }

func (h *httpDoor) state(nc net.Conn, s http.ConnState) {
	if c := unwrap(nc); c != nil {
		c.setState(s)
	}
	if h.connState != nil {
		h.connState(nc, s)
	}
}

func (h *httpDoor) context(ctx context.Context, nc net.Conn) context.Context {
	if h.connContext != nil {
		ctx = h.connContext(ctx, nc)
	}
	c := unwrap(nc)
	if c == nil || ctx == nil {
		return ctx
	}
	ctx, cancel := context.WithCancelCause(context.WithValue(ctx, groupKey{}, h.d.g))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancel = cancel
	return ctx
}

func unwrap(nc net.Conn) *httpConn {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	c, _ := nc.(*httpConn)
	return c
}

// activity is what net/http does with a connection.
type activity int

const (
	fresh    activity = iota // no request yet
	between                  // after a request, before the header of the next one is complete
	busy                     // a request's body or handler
	hijacked                 // the handler has taken the connection
)

// An httpConn is the connection that net/http sees.
type httpConn struct {
	gate
	// Guarded by the gate's lock.
	request      // the one in hand
	bound   bool // to this process: TLS, HTTP/2
	muxed   bool // several requests at once; reads say nothing about what is in hand
	doing   activity
	framer  framer
	reads   int  // in progress
	spent   bool // the context was cancelled by a park that came to nothing
}

func newHTTPConn(d *door, l *link) *httpConn {
	c := &httpConn{bound: d.http.tls, muxed: d.http.tls}
	c.init(d.g, l, c)
	c.filter = c.passes
	c.framer.adopted = l.fd >= 0
	return c
}

func (c *httpConn) setState(s http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch s {
	case http.StateActive:
		c.doing, c.since, c.waiting = busy, time.Now(), false
	case http.StateIdle:
		c.doing = between
		c.framer.next()
		if c.muxed && c.reads > 0 {
			c.atRest()
		}
	case http.StateHijacked:
		c.doing, c.free = hijacked, true
		c.framer = framer{}
		c.released()
	}
}

// Read is net/http's read: of a request's header, of a body, or the one byte that waits for a client to leave while
// a handler runs. Only the first kind can be parked.
func (c *httpConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	if c.doing == fresh || c.doing == between {
		c.framer.ask(len(p), c.doing == fresh)
		c.bound = c.bound || c.framer.lost
		if c.spent && c.owes == nil && !c.bound {
			return c.renew()
		}
		c.atRest()
	}
	c.reads++
	c.mu.Unlock()
	n, err := c.read(p)
	c.mu.Lock()
	c.reads--
	c.mu.Unlock()
	return n, err
}

// renew gives the connection back to its listener, for a new start with a new context. The lock is held, and let go.
func (c *httpConn) renew() (int, error) {
	c.detached = true
	unread, _, _ := c.words()
	c.mu.Unlock()
	c.g.detach(&c.gate, unread, nil)
	return 0, ErrHandover
}

func (c *httpConn) resumed() bool { return c.spent && c.waiting && !c.bound }

// passes is the gate's filter.
func (c *httpConn) passes(b []byte) (skip, n int) {
	if c.muxed || c.doing == hijacked {
		return 0, len(b)
	}
	skip, n = c.framer.pass(b)
	if c.framer.http2 && c.doing == fresh {
		c.bound, c.muxed = true, true
	}
	return skip, n
}

func (c *httpConn) words() (unread, unsent []byte, ok bool) {
	if c.bound || c.framer.lost || c.doing == hijacked {
		return nil, nil, false
	}
	return append(c.framer.unread(), c.in...), nil, true
}

// interrupt ends the context of a request in hand, if it is time.
func (c *httpConn) interrupt(force bool, budget time.Duration) {
	if c.owes != nil && c.doing == busy && c.told(force, budget) {
		c.spent = true
	}
}

// Write writes; to a connection that has gone, nothing.
func (c *httpConn) Write(p []byte) (int, error) {
	if c.left() {
		return len(p), nil
	}
	return c.nc.Write(p)
}

// ReadFrom lets net/http send files without copying.
func (c *httpConn) ReadFrom(r io.Reader) (int64, error) {
	if c.left() {
		return io.Copy(io.Discard, r)
	}
	if t, ok := c.nc.(*net.TCPConn); ok {
		return t.ReadFrom(r)
	}
	return io.Copy(c.nc, r)
}

func (c *httpConn) left() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.detached
}

// Close ends the connection, unless it goes to the peer.
func (c *httpConn) Close() error {
	c.mu.Lock()
	cancel := c.cancel
	c.mu.Unlock()
	if cancel != nil {
		cancel(nil)
	}
	return c.close()
}

// CloseWrite tells the client that nothing more comes.
func (c *httpConn) CloseWrite() error {
	if w, ok := c.nc.(interface{ CloseWrite() error }); ok && !c.left() {
		return w.CloseWrite()
	}
	return nil
}

func (c *httpConn) LocalAddr() net.Addr                { return c.nc.LocalAddr() }
func (c *httpConn) RemoteAddr() net.Addr               { return c.nc.RemoteAddr() }
func (c *httpConn) SetDeadline(t time.Time) error      { return c.nc.SetDeadline(t) }
func (c *httpConn) SetReadDeadline(t time.Time) error  { return c.nc.SetReadDeadline(t) }
func (c *httpConn) SetWriteDeadline(t time.Time) error { return c.nc.SetWriteDeadline(t) }

// SyscallConn is for socket options and peer credentials.
func (c *httpConn) SyscallConn() (syscall.RawConn, error) { return c.nc.(syscall.Conn).SyscallConn() }
