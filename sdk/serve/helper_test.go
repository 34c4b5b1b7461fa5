package serve

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/serve/internal/servetest"
)

// What servetest has, under shorter names.
var (
	twin       = servetest.Twin
	listenTCP  = servetest.Listen
	join       = servetest.Join
	must       = servetest.Must
	eventually = servetest.Eventually
)

type two = servetest.Two[*Group]

var patient = Options{Limit: servetest.Limit}

// newTwo pairs two groups that build has filled; the first one serves.
func newTwo(t testing.TB, build func(g *Group, version string)) *two {
	t.Helper()
	now, next := NewGroup(patient), NewGroup(patient)
	build(now, "v1")
	build(next, "v2")
	return servetest.Start(t, now, next)
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
