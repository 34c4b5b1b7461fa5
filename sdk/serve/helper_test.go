package serve

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// twin listens like ln, with a descriptor of its own, as two processes that inherited one listener do.
func twin(t testing.TB, ln net.Listener) net.Listener {
	t.Helper()
	f, err := ln.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func listenTCP(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// two are the groups of two processes that share their listeners; the first one serves, and they are paired.
type two struct {
	t         testing.TB
	now, next *Group
	build     func(g *Group, name string)
}

// patient is for machines that do other things as well.
var patient = Options{Limit: 20 * time.Second}

// newTwo pairs two groups that build has filled.
func newTwo(t testing.TB, build func(g *Group, version string)) *two {
	t.Helper()
	w := &two{t: t, build: build, now: NewGroup(patient), next: NewGroup(patient)}
	build(w.now, "v1")
	build(w.next, "v2")
	t.Cleanup(func() { w.now.Hangup(); w.now.Unpair(); w.next.Unpair() })
	must(t, w.now.Arm())
	join(t, w.now, w.next)
	return w
}

func join(t testing.TB, serving, standby *Group) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pair")
	must(t, serving.Pair(t.Context(), path, true))
	must(t, standby.Pair(t.Context(), path, false))
}

// swap hands everything from one group to the other, and exchanges their names.
func (w *two) swap() {
	w.t.Helper()
	must(w.t, w.now.Park(context.Background(), 5*time.Second))
	w.handover()
}

// handover is swap for a group that is parked.
func (w *two) handover() {
	w.t.Helper()
	if _, err := w.now.Finish(); err != nil {
		w.t.Fatal(err)
	}
	must(w.t, w.next.Await(context.Background()))
	must(w.t, w.next.Arm())
	w.now, w.next = w.next, w.now
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for something that another goroutine is about to do.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// client is a TCP client that knows nothing of retries.
type client struct {
	t  testing.TB
	nc net.Conn
	r  *bufio.Reader
}

func dial(t testing.TB, addr net.Addr) *client {
	t.Helper()
	nc, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{t: t, nc: nc, r: bufio.NewReader(nc)}
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.nc, s); err != nil {
		c.t.Fatal(err)
	}
}

// response reads an HTTP response and returns its body.
func (c *client) response() string {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(b)
}

// request is a whole exchange.
func (c *client) get(path string) string {
	c.t.Helper()
	c.send(getRequest(path))
	return c.response()
}

func getRequest(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }

func postRequest(path, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

// gone says whether the server ends the connection.
func (c *client) gone() bool {
	_, err := c.r.ReadByte()
	return err != nil && !os.IsTimeout(err)
}

// echo answers with method, path and body, and with the version that answers if ask for it.
func echo(version string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/version" {
			io.WriteString(w, version)
			return
		}
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client has left
		}
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.RequestURI(), strings.TrimSpace(string(b)))
	}
}

// httpTwo serves handler in two versions on one listener.
func httpTwo(t testing.TB, handler func(version string) http.Handler) (*two, net.Addr) {
	t.Helper()
	ln := listenTCP(t)
	w := newTwo(t, func(g *Group, version string) {
		g.HTTP("http", twin(t, ln), &http.Server{Handler: handler(version)})
	})
	return w, ln.Addr()
}
