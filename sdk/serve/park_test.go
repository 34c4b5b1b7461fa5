package serve

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// slow answers /slow when it is let go or its context ends, and everything else at once.
type slow struct {
	version string
	entered chan struct{}
	let     chan struct{}
}

func newSlow(version string) *slow {
	return &slow{version: version, entered: make(chan struct{}, 100), let: make(chan struct{})}
}

func (s *slow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/slow" {
		fmt.Fprint(w, r.Context().Err() == nil)
		return
	}
	s.entered <- struct{}{}
	select {
	case <-s.let:
		fmt.Fprint(w, "let go")
	case <-r.Context().Done():
		fmt.Fprint(w, errors.Is(context.Cause(r.Context()), ErrParking))
	}
}

func TestBusyHandlerWaitsOrAborts(t *testing.T) {
	h := newSlow("v1")
	w, addr := httpTwo(t, func(string) http.Handler { return h })
	idle, busy := dial(t, addr), dial(t, addr)
	idle.get("/")
	busy.send(getRequest("/slow"))
	<-h.entered

	// Half of the budget is the handler's own; it ends within it.
	ended := make(chan error, 1)
	go func() { ended <- w.Now.Park(t.Context(), 20*time.Second) }()
	eventually(t, "parking", func() bool { return w.Now.is() == parked })
	h.let <- struct{}{}
	must(t, <-ended)
	must(t, w.Now.Unpark())
	if got := busy.response(); got != "let go" {
		t.Fatalf("the handler was disturbed: %q", got)
	}

	// It does not end, and says why it could.
	busy.send(getRequest("/slow"))
	<-h.entered
	must(t, w.Now.Park(t.Context(), 2*time.Second)) // half of it before the handler is told
	if got := busy.response(); got != "true" {
		t.Fatalf("the cause was not ErrParking: %q", got)
	}
	w.Handover()
	for _, c := range []*client{idle, busy} {
		if got := c.get("/"); got != "true" {
			t.Fatalf("after the swap: %q", got)
		}
	}
}

func TestErrBusyChangesNothing(t *testing.T) {
	stubborn := make(chan struct{})
	entered := make(chan struct{}, 1)
	w, addr := httpTwo(t, func(string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/stubborn" {
				entered <- struct{}{}
				<-stubborn
			}
			fmt.Fprint(w, r.Context().Err() == nil)
		})
	})
	idle, busy := dial(t, addr), dial(t, addr)
	idle.get("/")
	busy.send(getRequest("/stubborn"))
	<-entered
	if err := w.Now.Park(t.Context(), 10*time.Millisecond); !errors.Is(err, ErrBusy) {
		t.Fatalf("Park: %v, want ErrBusy", err)
	}
	if got := idle.get("/"); got != "true" {
		t.Fatalf("service did not go on: %q", got)
	}
	dial(t, addr).get("/")
	close(stubborn)
	if got := busy.response(); got != "false" {
		t.Fatalf("the stubborn handler's context had not ended: %q", got)
	}
	if got := busy.get("/"); got != "true" {
		t.Fatalf("the next request was born with an ended context")
	}
	w.Swap()
	if got := busy.get("/"); got != "true" {
		t.Fatalf("after the swap: %q", got)
	}
}

// A stream that watches Parking ends at once; one that does not, and has run for longer than the budget, too.
func TestStreamsEndEarly(t *testing.T) {
	for _, aware := range []bool{true, false} {
		w, addr := httpTwo(t, func(string) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				parking := Parking(r.Context())
				if !aware {
					parking = nil
				}
				fmt.Fprint(w, "data: 1\n\n")
				_ = http.NewResponseController(w).Flush()
				select {
				case <-parking:
				case <-r.Context().Done():
				}
			})
		})
		c := dial(t, addr)
		c.send(getRequest("/"))
		eventually(t, "a stream", func() bool { return streamAge(w.Now) > 0 })
		budget := 5 * time.Second
		if !aware {
			budget = 300 * time.Millisecond
			eventually(t, "a long stream", func() bool { return streamAge(w.Now) > budget })
		}
		began := time.Now()
		must(t, w.Now.Park(t.Context(), budget))
		if took := time.Since(began); took > budget/3 {
			t.Errorf("aware %v: parking took %v of %v", aware, took, budget)
		}
		if got := c.response(); got != "data: 1\n\n" {
			t.Errorf("aware %v: %q", aware, got)
		}
		w.Handover()
	}
}

// streamAge is how long the only request in hand has been running.
func streamAge(g *Group) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.live {
		h := c.(*httpConn)
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.doing == busy {
			return time.Since(h.since)
		}
	}
	return 0
}

// A header that comes byte by byte, with a swap after each byte.
func TestSlowHeader(t *testing.T) {
	w, addr := httpTwo(t, echoes)
	c := dial(t, addr)
	for i, b := range getRequest("/slow") {
		c.send(string(b))
		if i%2 == 0 {
			time.Sleep(time.Millisecond)
		}
		w.Swap()
	}
	if got := c.response(); got != "GET /slow " {
		t.Fatal(got)
	}
}

func TestLargeHeaderAndBody(t *testing.T) {
	w, addr := httpTwo(t, echoes)
	c := dial(t, addr)
	head := "POST /x HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("l", 100_000)
	for range 3 {
		c.send(head)
		w.Swap()
		body := strings.Repeat("b", 3<<20)
		c.send(fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n", len(body)))
		done := make(chan struct{})
		go func() { defer close(done); w.Swap() }()
		c.send(body)
		if got := c.response(); got != "POST /x "+body {
			t.Fatalf("%d bytes came back", len(got))
		}
		<-done
	}
}

func TestExpectContinue(t *testing.T) {
	w, addr := httpTwo(t, echoes)
	c := dial(t, addr)
	for range 3 {
		c.send("POST /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
		line, _ := c.r.ReadString('\n')
		blank, _ := c.r.ReadString('\n')
		if line != "HTTP/1.1 100 Continue\r\n" || blank != "\r\n" {
			t.Fatalf("%q %q", line, blank)
		}
		done := make(chan struct{})
		go func() { defer close(done); w.Swap() }()
		c.send("body")
		if got := c.response(); got != "POST /x body" {
			t.Fatal(got)
		}
		<-done
	}
}

// Old clients send a line end too many after a POST; net/http lets that pass, and so must its successor.
func TestLineEndsAfterPost(t *testing.T) {
	for _, extra := range []string{"\r", "\r\n", "\r\n\r", "\r\n\r\n"} {
		for cut := range len(extra) + 1 {
			w, addr := httpTwo(t, echoes)
			c := dial(t, addr)
			c.send(postRequest("/x", "body") + extra[:cut])
			c.response()
			w.Swap()
			c.send(extra[cut:] + getRequest("/y"))
			if got := c.response(); got != "GET /y " {
				t.Fatalf("%q cut at %d: %q", extra, cut, got)
			}
		}
	}
}

func TestUnusedBodies(t *testing.T) {
	w, addr := httpTwo(t, func(string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) })
	})
	c := dial(t, addr)
	for range 3 {
		c.send(postRequest("/a", strings.Repeat("b", 50_000)) + getRequest("/b"))
		if a, b := c.response(), c.response(); a != "/a" || b != "/b" {
			t.Fatal(a, b)
		}
		w.Swap()
	}
}

// net/http reads with a buffer of a size that the hand-over of pipelined requests is checked against. When this fails,
// net/http has changed: look at framer.ask.
func TestServerBufferOfNetHTTP(t *testing.T) {
	w, addr := httpTwo(t, echoes)
	c := dial(t, addr)
	for i := range 3 {
		c.get(fmt.Sprint("/", i))
	}
	eventually(t, "an idle connection", func() bool { return len(lostOf(w.Now)) == 1 })
	if lostOf(w.Now)[0] {
		t.Fatal("net/http's reads are not what framer expects")
	}
}

func lostOf(g *Group) (lost []bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.live {
		h := c.(*httpConn)
		h.mu.Lock()
		if h.waiting {
			lost = append(lost, h.framer.lost)
		}
		h.mu.Unlock()
	}
	return lost
}

func TestHijackedConnectionIsHungUp(t *testing.T) {
	w, addr := httpTwo(t, func(string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			nc, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			defer nc.Close()
			for {
				line, err := rw.ReadString('\n')
				if err != nil {
					return
				}
				_, _ = io.WriteString(nc, "echo "+line)
			}
		})
	})
	c := dial(t, addr)
	c.send(getRequest("/"))
	for range 3 {
		c.send("hello\n")
		if line, _ := c.r.ReadString('\n'); line != "echo hello\n" {
			t.Fatalf("%q", line)
		}
		must(t, w.Now.Park(t.Context(), time.Second))
		must(t, w.Now.Unpark())
	}
	w.Swap()
	if !c.gone() {
		t.Fatal("a hijacked connection was not hung up")
	}
	if s, a := w.Now.Connections(); s+a != 0 {
		t.Fatalf("%d served, %d ahead", s, a)
	}
}

func TestHTTP2AndTLSStayBehind(t *testing.T) {
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS()
	defer cert.Close()
	ln, secure := listenTCP(t), listenTCP(t)
	w := newTwo(t, func(g *Group, version string) {
		h2c := &http.Server{Handler: echo(version), Protocols: new(http.Protocols)}
		h2c.Protocols.SetHTTP1(true)
		h2c.Protocols.SetUnencryptedHTTP2(true)
		g.HTTP("h2c", twin(t, ln), h2c)
		g.HTTP("tls", twin(t, secure), &http.Server{Handler: echo(version), TLSConfig: &tls.Config{
			Certificates: cert.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"},
		}})
	})
	old := dial(t, ln.Addr())
	for i := range 4 {
		for _, proto := range []int{1, 2} {
			tr := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			tr.Protocols.SetHTTP1(proto == 1)
			tr.Protocols.SetUnencryptedHTTP2(proto == 2)
			tr.Protocols.SetHTTP2(proto == 2)
			for _, url := range []string{"http://" + ln.Addr().String(), "https://" + secure.Addr().String()} {
				for range 2 {
					resp, err := (&http.Client{Transport: tr}).Get(url + "/version")
					if err != nil {
						t.Fatal(err)
					}
					b, _ := io.ReadAll(resp.Body)
					resp.Body.Close()
					if want := fmt.Sprint("v", i%2+1); string(b) != want || resp.ProtoMajor != proto {
						t.Fatalf("%s: %q by %s, want %s", url, b, resp.Proto, want)
					}
				}
			}
			defer tr.CloseIdleConnections()
		}
		if got, want := old.get("/version"), fmt.Sprint("v", i%2+1); got != want {
			t.Fatalf("HTTP/1.1 beside HTTP/2: %s, want %s", got, want)
		}
		w.Swap()
	}
	if s, _ := w.Now.Connections(); s < 1 {
		t.Fatalf("%d connections served, want the HTTP/1.1 ones", s)
	}
}

func TestAuthorsHooksAreChained(t *testing.T) {
	ln := listenTCP(t)
	var states atomic.Int64
	type key struct{}
	g := NewGroup(Options{})
	g.HTTP("http", ln, &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Context().Value(key{}), " ", Parking(r.Context()) != nil, " ", r.RemoteAddr != "")
		}),
		ConnState:   func(net.Conn, http.ConnState) { states.Add(1) },
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context { return context.WithValue(ctx, key{}, "mine") },
	})
	must(t, g.Arm())
	defer g.Hangup()
	if got := dial(t, ln.Addr()).get("/"); got != "mine true true" {
		t.Fatal(got)
	}
	if states.Load() < 2 {
		t.Fatal("ConnState was not called")
	}
}

// IdleTimeout goes on to hold for connections that have changed process and said nothing since.
func TestIdleTimeoutAfterSwap(t *testing.T) {
	ln := listenTCP(t)
	w := newTwo(t, func(g *Group, version string) {
		g.HTTP("http", twin(t, ln), &http.Server{
			Handler: echo(version), IdleTimeout: 300 * time.Millisecond, ReadHeaderTimeout: 50 * time.Millisecond,
		})
	})
	c := dial(t, ln.Addr())
	c.get("/")
	w.Swap()
	time.Sleep(150 * time.Millisecond) // longer than ReadHeaderTimeout
	if got := c.get("/version"); got != "v2" {
		t.Fatal(got)
	}
	w.Swap()
	if !c.gone() {
		t.Fatal("still there")
	}
	eventually(t, "all forgotten", func() bool {
		s, a := w.Now.Connections()
		n, b := w.Next.Connections()
		return s+a+n+b == 0
	})
}

func TestListenerMadeBlockingByOthers(t *testing.T) {
	w, addr := httpTwo(t, echoes)
	raw, err := w.Now.doors["http"].ln.SyscallConn()
	must(t, err)
	for range 3 {
		_ = raw.Control(func(fd uintptr) { _ = unix.SetNonblock(int(fd), false) })
		c := dial(t, addr)
		c.get("/")
		w.Swap()
		c.get("/")
	}
}

func TestUnixListener(t *testing.T) {
	path := t.TempDir() + "/s"
	ln, err := net.Listen("unix", path)
	must(t, err)
	w := newTwo(t, func(g *Group, version string) {
		g.HTTP("http", twin(t, ln), &http.Server{Handler: echo(version)})
	})
	c := dial(t, ln.Addr())
	for i := range 4 {
		if got, want := c.get("/version"), fmt.Sprint("v", i%2+1); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
		w.Swap()
	}
}

// A stream handler that reads as if there were no handover but for ErrHandover.
func lines(version string) func(*Conn) {
	return func(c *Conn) {
		var have []byte
		buf := make([]byte, 100)
		for {
			n, err := c.Read(buf)
			if errors.Is(err, ErrHandover) {
				c.Handover(have, nil)
				return
			}
			if err != nil {
				return
			}
			have = append(have, buf[:n]...)
			for {
				i := strings.IndexByte(string(have), '\n')
				if i < 0 {
					break
				}
				fmt.Fprintf(c, "%s %s\n", version, have[:i])
				have = have[i+1:]
			}
		}
	}
}

func TestStreamWithRead(t *testing.T) {
	ln := listenTCP(t)
	w := newTwo(t, func(g *Group, version string) { g.Stream("lines", twin(t, ln), lines(version)) })
	c := dial(t, ln.Addr())
	for i := range 10 {
		c.send("hel")
		must(t, w.Now.Park(t.Context(), time.Second)) // parked, and served on
		must(t, w.Now.Unpark())
		w.Swap()
		c.send("lo\n")
		line, err := c.r.ReadString('\n')
		if want := fmt.Sprintf("v%d hello\n", 2-i%2); line != want {
			t.Fatalf("round %d: %q (%v), want %q", i, line, err, want)
		}
	}
}

func TestReadDeadlineOfStream(t *testing.T) {
	ln := listenTCP(t)
	g := NewGroup(Options{})
	g.Stream("s", ln, func(c *Conn) {
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		_, err := c.Read(make([]byte, 1))
		fmt.Fprintln(c, errors.Is(err, ErrHandover))
	})
	must(t, g.Arm())
	defer g.Hangup()
	if line, _ := bufio.NewReader(dial(t, ln.Addr()).nc).ReadString('\n'); line != "false\n" {
		t.Fatalf("%q", line)
	}
}

// The end of a pair is not the end of a connection, on whichever side and however it ends.
func TestConnectionsOutliveThePair(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(w *two)
	}{
		{"the standby leaves", func(w *two) { w.Next.Unpair() }},
		{"the serving process leaves", func(w *two) { w.Now.Unpair() }},
		{"the standby loses it", func(w *two) { w.Next.pair.fail(ErrProtocol) }},
		{"the serving process loses it", func(w *two) { w.Now.pair.fail(ErrProtocol) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, addr := httpTwo(t, echoes)
			c := dial(t, addr)
			c.get("/")
			w.Swap()
			c.get("/")
			tt.end(w)
			eventually(t, "both are alone", func() bool {
				_, ahead := w.Next.Connections()
				w.Now.mu.Lock()
				defer w.Now.mu.Unlock()
				return ahead == 0 && w.Now.pair == nil
			})
			if got := c.get("/version"); got != "v2" {
				t.Fatal(got)
			}
			join(t, w.Now, w.Next)
			w.Swap()
			if got := c.get("/version"); got != "v1" {
				t.Fatal(got)
			}
		})
	}
}

// The server's own end does not end the listener.
func TestAuthorClosesServer(t *testing.T) {
	ln := listenTCP(t)
	srv := &http.Server{Handler: echo("v1")}
	g := NewGroup(Options{})
	g.HTTP("http", ln, srv)
	must(t, g.Arm())
	defer g.Hangup()
	c := dial(t, ln.Addr())
	c.get("/")
	must(t, srv.Close())
	if !c.gone() {
		t.Fatal("still there")
	}
	if !dial(t, ln.Addr()).gone() { // accepted, and let go
		t.Fatal("served by a closed server")
	}
}
