package serve

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// Meter is what counts the requests of all listeners of the group.
func (g *Group) Meter() *Meter { return &g.meter }

// Meter counts the requests of the process. A handler of a protocol of its own calls Record for each request, so that
// a new version is judged by them too.
func (c *Conn) Meter() *Meter { return &c.g.meter }

// metered is an author's handler with the meter around it. A request has failed if its status is 500 or above, or if its
// handler panicked. One whose connection was hijacked is not counted.
type metered struct {
	m *Meter
	h http.Handler // nil: as net/http has it
}

func (h metered) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began, seen, returned := h.m.Now(), writer{ResponseWriter: w}, false
	defer func() {
		failed := 0
		if !returned || seen.status >= http.StatusInternalServerError {
			failed = 1
		}
		if !seen.hijacked {
			h.m.Record(began, 1, failed)
		}
	}()
	next := h.h
	if next == nil {
		next = http.DefaultServeMux
	}
	next.ServeHTTP(seen.as(w), r)
	returned = true
}

// writer notes the status of a response and is otherwise what it wraps.
type writer struct {
	http.ResponseWriter
	status   int
	hijacked bool
}

// as gives the writer the further abilities that w has: those of HTTP/1.1 or of HTTP/2.
func (w *writer) as(of http.ResponseWriter) http.ResponseWriter {
	if _, ok := of.(http.Hijacker); ok {
		return writer1{w}
	}
	if _, ok := of.(http.Pusher); ok {
		return writer2{w}
	}
	return w
}

// WriteHeader notes the first status that is an answer.
func (w *writer) WriteHeader(status int) {
	if w.status < http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush sends what is buffered.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError is Flush with its error.
func (w *writer) FlushError() error { return http.NewResponseController(w.ResponseWriter).Flush() }

// WriteString saves a copy where net/http can.
func (w *writer) WriteString(s string) (int, error) { return io.WriteString(w.ResponseWriter, s) }

// writer1 can do what net/http's writer of HTTP/1.1 can.
type writer1 struct{ *writer }

// Hijack gives the connection to the handler.
func (w writer1) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, b, err := http.NewResponseController(w.ResponseWriter).Hijack()
	w.hijacked = w.hijacked || err == nil
	return c, b, err
}

// ReadFrom lets files be sent without copying.
func (w writer1) ReadFrom(r io.Reader) (int64, error) { return io.Copy(w.ResponseWriter, r) }

// writer2 can do what net/http's writer of HTTP/2 can.
type writer2 struct{ *writer }

// Push begins a server push.
func (w writer2) Push(target string, o *http.PushOptions) error {
	if p, ok := w.ResponseWriter.(http.Pusher); ok {
		return p.Push(target, o)
	}
	return http.ErrNotSupported
}
