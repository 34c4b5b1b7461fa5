package serve

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/serve/internal/servetest"
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

func parkNow(w *two) {
	w.T.Helper()
	must(w.T, w.Now.Park(w.T.Context(), 5*time.Second))
}

// What was pushed, or kept as a session, between the last words and the decision was lost, although that had succeeded.
func TestNothingIsTakenThatCannotTravelAnyMore(t *testing.T) {
	w, client, conns := speaking(t)
	c := servetest.Next(t, conns)
	refused := func() {
		t.Helper()
		if err := c.Push([]byte("lost"), 1<<20); !errors.Is(err, ErrHandover) {
			t.Errorf("a push: %v, want %v", err, ErrHandover)
		}
		if err := c.SetSession([]byte("lost")); !errors.Is(err, ErrHandover) {
			t.Errorf("a session: %v, want %v", err, ErrHandover)
		}
	}
	parkNow(w)
	must(t, c.Push([]byte("one "), 1<<20))
	must(t, c.SetSession([]byte("kept")))
	_, err := w.Now.sayWords()
	must(t, err)
	refused()
	must(t, w.Now.Unpark()) // the handover has failed
	must(t, c.Push([]byte("two "), 1<<20))

	parkNow(w)
	must(t, c.Push([]byte("three "), 1<<20))
	said, err := w.Now.sayWords()
	must(t, err)
	refused()
	must(t, w.Now.sayEnd())
	refused()
	w.Now.letGo(said)
	refused()
	must(t, w.Next.Await(t.Context()))
	must(t, w.Next.Arm())
	w.Now, w.Next = w.Next, w.Now
	c = servetest.Next(t, conns)
	if got := string(c.Session()); got != "kept" {
		t.Errorf("the session is %q", got)
	}
	must(t, c.Push([]byte("four"), 1<<20))
	got := make([]byte, len("one two three four"))
	if _, err := io.ReadFull(client.r, got); err != nil || string(got) != "one two three four" {
		t.Errorf("%q, %v", got, err)
	}
	w.Swap()
	client.send("wake up")
	if got := string(servetest.Next(t, conns).Session()); got != "kept" {
		t.Errorf("back again the session is %q", got)
	}
}

// A connection that ends after its last words ends for its client, whoever serves then.
func TestAConnectionThatEndsAfterItsLastWords(t *testing.T) {
	w, client, conns := speaking(t)
	c := servetest.Next(t, conns)
	parkNow(w)
	said, err := w.Now.sayWords()
	must(t, err)
	must(t, c.Close())
	must(t, w.Now.sayEnd())
	w.Now.letGo(said)
	must(t, w.Next.Await(t.Context()))
	must(t, w.Next.Arm())
	w.Now, w.Next = w.Next, w.Now
	if !client.gone() {
		t.Error("the client is still connected")
	}
	eventually(t, "that nobody serves it", func() bool { n, m := w.Now.Connections(); return n+m == 0 })
}

// Each change of a session waited for a peer that did not listen, and they filled the memory.
func TestOnlyTheLastSessionWaitsForASilentPeer(t *testing.T) {
	w, _, conns := speaking(t)
	c := servetest.Next(t, conns)
	w.Now.Unpair()
	w.Now.mu.Lock()
	silent := newPair(w.Now, nil, 0) // whose writer does not run
	silent.sayAhead(c.l)
	w.Now.pair, silent.queue = silent, nil
	w.Now.mu.Unlock()
	defer func() {
		w.Now.mu.Lock()
		defer w.Now.mu.Unlock()
		w.Now.pair = nil
	}()
	for round := range 2 {
		for i := range 100 {
			must(t, c.SetSession(fmt.Appendf(nil, "session %d.%d", round, i)))
		}
		if len(silent.queue) != 1 {
			t.Fatalf("%d sessions wait", len(silent.queue))
		}
		var told []byte
		must(t, silent.tellOne(silent.queue[0], &told))
		if want := fmt.Sprintf("session %d.99", round); !bytes.HasSuffix(told, []byte(want)) {
			t.Errorf("the peer is told %q, want %q", told, want)
		}
		silent.queue = nil
	}
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
	eventually(t, "a connection", func() bool { n, _ := w.Now.Connections(); return n == 1 })
	w.Swap()
	for range 4 {
		if got := servetest.Next(t, addrs).String(); got != ":0" {
			t.Errorf("%s", got)
		}
	}
	if !client.gone() {
		t.Error("the client is still connected")
	}
}
