package drill

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// counter is a visits 1.0.0 or 2.0.0 that keeps its rows in memory. Faults spoil it.
type counter struct {
	mu    sync.Mutex
	rows  map[string]int64
	shape shape
	fault func(user string, count int64) int64
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := strings.TrimPrefix(r.URL.Path, "/visits/")
	switch {
	case r.URL.Path == "/visits":
		body, _ := io.ReadAll(r.Body)
		names := strings.Fields(string(body))
		for _, name := range names {
			c.rows[name] = c.fault(name, c.rows[name]+1)
		}
		fmt.Fprintf(w, "{\"visits\":%d}\n", len(names))
		return
	case r.Method == "POST":
		c.rows[name] = c.fault(name, c.rows[name]+1)
	case c.rows[name] == 0:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if c.shape == shape2 {
		fmt.Fprintf(w, `{"user":%q,"count":%d,"last_seen":"2026-01-01T00:00:00Z"}`, name, c.rows[name])
		return
	}
	fmt.Fprintf(w, `{"user":%q,"count":%d}`, name, c.rows[name])
}

func startCounter(t *testing.T, fault func(string, int64) int64) (c *counter, addr string) {
	if fault == nil {
		fault = func(_ string, n int64) int64 { return n }
	}
	c = &counter{rows: map[string]int64{}, fault: fault}
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	return c, s.Listener.Addr().String()
}

func TestVerifyFindsNothingWrongWithARightServer(t *testing.T) {
	c, addr := startCounter(t, nil)
	l := newLedger(5000)
	if err := fill(t.Context(), addr, l); err != nil {
		t.Fatal(err)
	}
	writing := startLoad(t.Context(), addr, l, 40_000, false)
	time.Sleep(200 * time.Millisecond)
	written, rate, errs := writing.stop()
	if written == 0 || rate > 60_000 || len(errs) > 0 {
		t.Errorf("%d rows were written, %.0f a second: %v", written, rate, errs)
	}
	if got := l.total(); got != 5000+written {
		t.Errorf("the ledger has %d, want %d", got, 5000+written)
	}
	if errs := verify(t.Context(), addr, l, shape1); errs != nil {
		t.Errorf("verify: %v", errs)
	}
	c.shape = shape2
	if errs := verify(t.Context(), addr, l, shape2); errs != nil {
		t.Errorf("verify: %v", errs)
	}
}

// Each fault is one that an upgrade could make.
func TestVerifyFindsFaults(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*counter)
		want string
	}{
		{"a lost row", func(c *counter) { delete(c.rows, user(77)) }, "user-0000077: status 404"},
		{"a lost write", func(c *counter) { c.rows[user(99)] = 0 }, "user-0000099"},
		{"a doubled write", func(c *counter) { c.rows[user(3)]++ }, "counted twice"},
		{"the wrong shape", func(c *counter) { c.shape = shape2 }, "the wrong shape"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, addr := startCounter(t, nil)
			l := newLedger(500)
			if err := fill(t.Context(), addr, l); err != nil {
				t.Fatal(err)
			}
			c.do(server)
			errs := verify(t.Context(), addr, l, shape1)
			if len(errs) == 0 || !strings.Contains(errs[0].Error(), c.want) {
				t.Errorf("found %v, want %q", errs, c.want)
			}
		})
	}
}

func TestProbeSeesAGapAndAWrongCount(t *testing.T) {
	const pause = 50 * time.Millisecond
	_, addr := startCounter(t, func(_ string, n int64) int64 {
		switch n {
		case 100:
			time.Sleep(pause)
		case 200:
			return 201
		}
		return n
	})
	began := time.Now()
	p, err := startProbe(t.Context(), addr, "probe")
	if err != nil {
		t.Fatal(err)
	}
	p.wait.Wait()
	if got := p.longest(began, time.Now()); got < pause || got > 20*pause {
		t.Errorf("the longest gap was %s", got)
	}
	if _, err := p.stop(); err == nil || !strings.Contains(err.Error(), "visit 200 was answered with 201") {
		t.Errorf("the probe says %v", err)
	}
}

// A server that hangs up between requests, as every reload elsewhere does, is a failure here.
func TestKeepersNeverReconnect(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1024))
			_, _ = io.WriteString(conn, ":1\r\n")
			_ = conn.Close()
		}
	}()
	k := &keepers{cancel: func() {}}
	if err := k.keep(t.Context(), 3, ln.Addr().String(), "resp", respKeeper); err != nil {
		t.Fatal(err)
	}
	k.stop()
	if len(k.errs) != 3 {
		t.Errorf("3 connections were closed, the keepers saw %v", k.errs)
	}
}

func TestConnectionCloseIsAnError(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
	}))
	defer s.Close()
	c, err := dialHTTP(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if _, err := c.do("GET", "/", nil); err == nil {
		t.Error("a connection that ends passed for one that stays")
	}
}

func TestServerSockets(t *testing.T) {
	_, addr := startCounter(t, nil)
	c, err := dialHTTP(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if _, err := hit(c, "ada"); err != nil {
		t.Fatal(err)
	}
	before, err := serverSockets(addr)
	if err != nil {
		t.Fatal(err)
	}
	port := c.conn.LocalAddr().(*net.TCPAddr).Port
	if same([]int{port}, before, before) != 1 {
		t.Errorf("port %d is not among %v", port, before)
	}
	if same([]int{port}, before, map[int]string{port: "1"}) != 0 {
		t.Error("another inode passed for the same socket")
	}
}
