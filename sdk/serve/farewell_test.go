package serve

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"
)

// A client lost what was left to send when the service stopped, and was told nothing.
func TestClientsAreToldThatTheServiceStops(t *testing.T) {
	for _, parked := range []bool{true, false} {
		ln := listenTCP(t)
		g := NewGroup(patient)
		pushed := make(chan *Conn)
		g.Stream("stream", ln, func(c *Conn) {
			c.Farewell([]byte("bye"))
			_ = c.Push(make([]byte, 8<<20), 16<<20)
			pushed <- c
			_, _ = c.ReadMore(nil, make([]byte, 1))
		})
		must(t, g.Arm())
		nc, err := net.Dial("tcp", ln.Addr().String())
		must(t, err)
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
		c := <-pushed
		if parked {
			must(t, g.Park(context.Background(), 100*time.Millisecond))
			_, err = io.WriteString(nc, "nobody reads this") // must not reset the connection
			must(t, err)
		}
		ended := make(chan struct{})
		go func() { g.Hangup(); close(ended) }()
		got, err := io.ReadAll(nc)
		if err != nil || len(got) != 8<<20+3 || !bytes.HasSuffix(got, []byte("bye")) {
			t.Errorf("parked %v: %d bytes, %v", parked, len(got), err)
		}
		nc.Close()
		<-ended
		if err := c.Push([]byte("x"), 1); err == nil {
			t.Error("something is said after the farewell")
		}
	}
}

// A client that does not take what it is told keeps nobody from stopping.
func TestADeafClientDoesNotKeepAServiceFromStopping(t *testing.T) {
	ln := listenTCP(t)
	g := NewGroup(Options{Limit: 50 * time.Millisecond})
	in := make(chan bool)
	g.Stream("stream", ln, func(c *Conn) {
		c.Farewell([]byte("bye"))
		_ = c.Push(make([]byte, 64<<20), 64<<20) // far more than sockets take
		in <- true
		_, _ = c.ReadMore(nil, make([]byte, 1))
	})
	must(t, g.Arm())
	nc, err := net.Dial("tcp", ln.Addr().String())
	must(t, err)
	defer nc.Close()
	<-in
	eventually(t, "that it takes nothing more", func() bool { return isFull(g) })
	began := time.Now()
	g.Hangup()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}
