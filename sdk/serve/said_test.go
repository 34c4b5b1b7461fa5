package serve

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// speaking is two groups with one stream, whose connections are told to the channel, and a client of it.
func speaking(t *testing.T) (*two, *client, <-chan *Conn) {
	t.Helper()
	ln, conns := listenTCP(t), make(chan *Conn, 10)
	w := newTwo(t, func(g *Group, _ string) {
		g.Stream("raw", twin(t, ln), func(c *Conn) {
			conns <- c
			for {
				if _, err := c.ReadMore(nil, make([]byte, 16)); err != nil {
					return
				}
			}
		})
	})
	return w, dial(t, ln.Addr()), conns
}

// next is what comes.
func next[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing comes")
		panic("unreachable")
	}
}

func (w *two) park() {
	w.t.Helper()
	must(w.t, w.now.Park(w.t.Context(), 5*time.Second))
}

// What was pushed, or kept as a session, between the last words and the decision was lost, although that had succeeded.
func TestNothingIsTakenThatCannotTravelAnyMore(t *testing.T) {
	w, client, conns := speaking(t)
	c := next(t, conns)
	refused := func() {
		t.Helper()
		if err := c.Push([]byte("lost"), 1<<20); !errors.Is(err, ErrHandover) {
			t.Errorf("a push: %v, want %v", err, ErrHandover)
		}
		if err := c.SetSession([]byte("lost")); !errors.Is(err, ErrHandover) {
			t.Errorf("a session: %v, want %v", err, ErrHandover)
		}
	}
	w.park()
	must(t, c.Push([]byte("one "), 1<<20))
	must(t, c.SetSession([]byte("kept")))
	_, err := w.now.sayWords()
	must(t, err)
	refused()
	must(t, w.now.Unpark()) // the handover has failed
	must(t, c.Push([]byte("two "), 1<<20))

	w.park()
	must(t, c.Push([]byte("three "), 1<<20))
	said, err := w.now.sayWords()
	must(t, err)
	refused()
	must(t, w.now.sayEnd())
	refused()
	w.now.letGo(said)
	refused()
	must(t, w.next.Await(t.Context()))
	must(t, w.next.Arm())
	w.now, w.next = w.next, w.now
	c = next(t, conns)
	if got := string(c.Session()); got != "kept" {
		t.Errorf("the session is %q", got)
	}
	must(t, c.Push([]byte("four"), 1<<20))
	got := make([]byte, len("one two three four"))
	if _, err := io.ReadFull(client.r, got); err != nil || string(got) != "one two three four" {
		t.Errorf("%q, %v", got, err)
	}
	w.swap()
	client.send("wake up")
	if got := string(next(t, conns).Session()); got != "kept" {
		t.Errorf("back again the session is %q", got)
	}
}

// A connection that ends after its last words ends for its client, whoever serves then.
func TestAConnectionThatEndsAfterItsLastWords(t *testing.T) {
	w, client, conns := speaking(t)
	c := next(t, conns)
	w.park()
	said, err := w.now.sayWords()
	must(t, err)
	must(t, c.Close())
	must(t, w.now.sayEnd())
	w.now.letGo(said)
	must(t, w.next.Await(t.Context()))
	must(t, w.next.Arm())
	w.now, w.next = w.next, w.now
	if !client.gone() {
		t.Error("the client is still connected")
	}
	eventually(t, "that nobody serves it", func() bool { n, m := w.now.Connections(); return n+m == 0 })
}

// A connection without a socket has no address, and says so to those who ask.
func TestAddressesWithoutASocket(t *testing.T) {
	ln := listenTCP(t)
	addrs := make(chan net.Addr, 4)
	early := Early{
		Wanted: func([]byte) bool { return true },
		Resume: func(c *Conn, _ []byte) { addrs <- c.RemoteAddr(); addrs <- c.LocalAddr(); _ = c.Close() },
		Lost:   func(c *Conn) { addrs <- c.RemoteAddr(); addrs <- c.LocalAddr() },
	}
	w := newTwo(t, func(g *Group, _ string) {
		g.StreamEarly("raw", twin(t, ln), func(c *Conn) { _, _ = c.ReadMore(nil, make([]byte, 16)) }, early)
	})
	client := dial(t, ln.Addr())
	eventually(t, "a connection", func() bool { n, _ := w.now.Connections(); return n == 1 })
	w.swap()
	for range 4 {
		if got := next(t, addrs).String(); got != ":0" {
			t.Errorf("%s", got)
		}
	}
	if !client.gone() {
		t.Error("the client is still connected")
	}
}
