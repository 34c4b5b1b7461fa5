package ws

import (
	"context"
	"net"
	"net/http"
	"sync"

	"github.com/theseusd/theseus/sdk/serve"
)

// plain has net/http answer one request; the connection ends with it. in is what was read of it.
func (d *door) plain(sc *serve.Conn, in []byte) {
	d.once.Do(func() { d.web = d.newWeb() })
	nc := &webConn{Conn: sc, rest: in, over: make(chan struct{})}
	d.web.conns <- nc
	<-nc.over
}

// web is net/http behind a listener of connections that are given to it.
type web struct{ conns chan net.Conn }

var _ net.Listener = (*web)(nil)

func (d *door) newWeb() *web {
	w := &web{conns: make(chan net.Conn)}
	srv := &http.Server{
		Handler: d.HTTP, ReadHeaderTimeout: HandshakeLimit, MaxHeaderBytes: MaxHeader, ReadTimeout: d.ReadTimeout, WriteTimeout: d.WriteTimeout,
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context { return nc.(*webConn).InHand(ctx) },
		ConnState: func(nc net.Conn, s http.ConnState) {
			if s == http.StateHijacked {
				nc.(*webConn).Free()
			}
		},
	}
	if d.HTTP == nil {
		srv.Handler = http.NotFoundHandler()
	}
	srv.SetKeepAlivesEnabled(false)
	go func() { _ = srv.Serve(w) }() // it ends with the process
	return w
}

func (w *web) Accept() (net.Conn, error) { return <-w.conns, nil }
func (w *web) Close() error              { return nil }
func (w *web) Addr() net.Addr            { return &net.TCPAddr{} }

// webConn is a connection with a request that was read in part.
type webConn struct {
	*serve.Conn
	rest []byte
	once sync.Once
	over chan struct{}
}

var _ net.Conn = (*webConn)(nil)

func (c *webConn) Read(p []byte) (int, error) {
	if len(c.rest) > 0 {
		n := copy(p, c.rest)
		c.rest = c.rest[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// Close lets the handler of the connection return, which sends what is left and hangs up.
func (c *webConn) Close() error {
	c.once.Do(func() { close(c.over) })
	return nil
}
