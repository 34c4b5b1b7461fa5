package serve

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/sdk/serve/internal/servetest"
)

// A choir is a service with events: it answers each line that it has heard with the same line.
type choir struct {
	conns chan *EventConn // that it was told of
	ended chan error      // of connections, why

	resume func(c *EventConn) // nil, or what is done with one that has come

	mu   sync.Mutex
	hold chan struct{} // nil, or lines are answered when it is closed
}

// voice is what a choir has of a connection.
type voice struct{ line []byte }

func newChoir() *choir {
	return &choir{conns: make(chan *EventConn, 100), ended: make(chan error, 100)}
}

func (s *choir) join(g *Group, ln net.Listener) {
	g.Events("choir", ln, s.begin, Events{
		Wanted:   func(session []byte) bool { return len(session) > 0 },
		Resume:   s.resumed,
		Ready:    s.ready,
		Held:     func(c *EventConn) []byte { return c.Value.(*voice).line },
		Farewell: func(*EventConn) []byte { return []byte("bye\n") },
		Closed:   func(_ *EventConn, err error) { s.ended <- err },
	})
}

func (s *choir) begin(c *Conn) {
	_ = c.SetSession([]byte("sings"))
	if e, err := c.ToEvents(); err == nil {
		s.enter(e)
	}
}

func (s *choir) resumed(c *EventConn, _ []byte) {
	if s.enter(c); s.resume != nil {
		s.resume(c)
	}
}

func (s *choir) enter(c *EventConn) {
	c.Value = &voice{}
	s.conns <- c
}

func (s *choir) ready(c *EventConn) error {
	v := c.Value.(*voice)
	for {
		for {
			line, rest, whole := bytes.Cut(v.line, []byte("\n"))
			if !whole {
				break
			}
			if c.Parking() {
				return nil
			}
			s.wait()
			v.line = rest
			if err := c.Push(append(bytes.Clone(line), '\n'), 1<<30); err != nil {
				return err
			}
		}
		b := make([]byte, 4*rawMost)
		n, err := c.Read(b)
		v.line = append(v.line, b[:n]...)
		switch {
		case errors.Is(err, ErrWait):
			return nil
		case err != nil:
			return err
		}
	}
}

func (s *choir) wait() {
	s.mu.Lock()
	hold := s.hold
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
}

// holdOn has lines wait until the function that it returns is called.
func (s *choir) holdOn() func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	hold := make(chan struct{})
	s.hold = hold
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.hold = nil
		close(hold)
	}
}

// singing is two groups with a choir each, and a client.
func singing(t *testing.T) (w *two, here, there *choir, addr net.Addr) {
	t.Helper()
	ln := listenTCP(t)
	here, there = newChoir(), newChoir()
	w = newTwo(t, func(g *Group, version string) {
		s := here
		if version == "v2" {
			s = there
		}
		s.join(g, twin(t, ln))
	})
	return w, here, there, ln.Addr()
}

func (c *client) hears(want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c.r, got); err != nil || string(got) != want {
		c.t.Fatalf("%q, %v, want %q", cut(got[:n]), err, cut([]byte(want)))
	}
}

func cut(b []byte) []byte { return b[:min(len(b), 60)] }

// fill pushes until the client's socket takes no more, and returns what was pushed.
func fill(t *testing.T, c *EventConn) string {
	t.Helper()
	var all strings.Builder
	for i := 0; ; i++ {
		part := strings.Repeat(fmt.Sprint(i%10), 32<<10)
		must(t, c.Push([]byte(part), 1<<30))
		all.WriteString(part)
		full := false
		eventually(t, "the sender has come to it", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			full = c.full
			return full || len(c.out) == 0
		})
		if full {
			return all.String()
		}
	}
}

func TestEventConns(t *testing.T) {
	w, here, there, addr := singing(t)
	c := dial(t, addr)
	c.send("one\ntwo\nthr")
	c.hears("one\ntwo\n")
	for range 3 {
		w.Swap()
		c.send("ee\nfour\nthr")
		c.hears("three\nfour\n")
	}
	if err := servetest.Next(t, here.ended); !errors.Is(err, ErrHandover) {
		t.Errorf("it has moved, and is told %v", err)
	}
	servetest.Next(t, there.ended) // it went back, and came again
	c.nc.Close()
	if err := servetest.Next(t, there.ended); err != io.EOF {
		t.Errorf("the client has left, and it is told %v", err)
	}
}

// What a slow client has not taken travels, in order, and what it says waits until it has taken that.
func TestEventConnOfASlowClient(t *testing.T) {
	w, here, there, addr := singing(t)
	slow := dial(t, addr)
	e := servetest.Next(t, here.conns)
	said := fill(t, e)
	slow.send("answer me\n")
	if err := e.Push([]byte("too much"), e.Waiting()); !errors.Is(err, ErrSlow) {
		t.Errorf("%v, want %v", err, ErrSlow)
	}
	w.Swap()
	e = servetest.Next(t, there.conns)
	must(t, e.Push([]byte("and more\n"), 1<<30))
	slow.hears(said + "and more\nanswer me\n")
}

// A client that sends and does not read fills neither the memory nor another's time.
func TestEventConnThatDoesNotTakeAnswersIsNotRead(t *testing.T) {
	_, here, _, addr := singing(t)
	c := dial(t, addr)
	e := servetest.Next(t, here.conns)
	line := strings.Repeat("x", 1000) + "\n"
	const lines = 20_000
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(c.nc, strings.Repeat(line, lines))
		sent <- err
	}()
	eventually(t, "its socket is full", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.full && !e.busy
	})
	if n := e.Waiting(); n > 8*rawMost {
		t.Errorf("%d bytes wait for it", n)
	}
	other := dial(t, addr)
	other.send("hello\n")
	other.hears("hello\n")
	c.hears(strings.Repeat(line, lines))
	must(t, <-sent)
}

// A read of all that one call moves was taken for one of all that was there, and the rest waited for the client's next word.
func TestEventConnReadsMoreThanACallMoves(t *testing.T) {
	w, here, _, addr := singing(t)
	c := dial(t, addr)
	e := servetest.Next(t, here.conns)
	must(t, unix.SetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4*rawMost))
	line := strings.Repeat("x", 4*rawMost) + "\n"
	parkNow(w)
	sent := make(chan error, 1)
	go func() { _, err := io.WriteString(c.nc, line); sent <- err }()
	eventually(t, "more has come than a call moves", func() bool { return arrived(t, w.Now) > rawMost })
	must(t, w.Now.Unpark())
	c.hears(line)
	must(t, <-sent)
}

// arrived is how many bytes wait in the sockets of a group's connections with events.
func arrived(t *testing.T, g *Group) (n int) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	for l := range g.links {
		if l.event != nil {
			waiting, err := unix.IoctlGetInt(l.fd, unix.TIOCINQ)
			must(t, err)
			n += waiting
		}
	}
	return n
}

// A slow client to whom something was pushed while its connection was taken over was cut, with all that it had not taken.
func TestEventConnOfASlowClientThatIsToldSomethingInResume(t *testing.T) {
	w, here, there, addr := singing(t)
	slow := dial(t, addr)
	said := fill(t, servetest.Next(t, here.conns))
	there.resume = func(c *EventConn) {
		must(t, c.Push([]byte("welcome\n"), 1<<30))
		eventually(t, "the sender has come to it", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return !c.queued
		})
	}
	w.Swap()
	slow.hears(said + "welcome\n")
}

// The last bytes of a client that leaves are heard, though its end comes with them.
func TestEventConnHearsTheLastWords(t *testing.T) {
	_, here, _, addr := singing(t)
	for i := range 200 {
		c := dial(t, addr)
		c.send(fmt.Sprintf("%d\n", i))
		must(t, c.nc.(*net.TCPConn).CloseWrite())
		c.hears(fmt.Sprintf("%d\n", i))
		if !c.gone() {
			t.Fatal("the connection goes on")
		}
		servetest.Next(t, here.conns)
		if err := servetest.Next(t, here.ended); err != io.EOF {
			t.Fatal(err)
		}
	}
}

// A version that has seen that there is something to read, and gives up before it reads, is told of it again.
func TestEventConnIsReadByWhoComesBack(t *testing.T) {
	w, _, _, addr := singing(t)
	c := dial(t, addr)
	c.send("a\n")
	c.hears("a\n")
	for range 3 {
		parkNow(w)
		c.send("b\n")
		w.Handover() // to one that is parked before it reads, perhaps
		parkNow(w)
		w.Handover()
		c.hears("b\n")
	}
	parkNow(w)
	c.send("c\n")
	must(t, w.Now.Unpark())
	c.hears("c\n")
	parkNow(w)
	c.send("d\n")
	w.Next.Unpair()
	if _, err := w.Now.Finish(); err == nil {
		t.Fatal("it has finished without a peer")
	}
	must(t, w.Now.Arm())
	c.hears("d\n")
}

// A standby has what the clients of its peer say and leaves it alone, from the instant in which it hands over: one that had
// goroutines to let go for 50 ms took it, and nobody heard it when it served again.
func TestEventConnOfAClientThatComesAfterASwitch(t *testing.T) {
	for name, tt := range map[string]struct {
		last  func(c *client)
		heard func(t *testing.T, c *client, ended chan error)
	}{
		"and speaks": {
			func(c *client) { c.send("b\n") },
			func(_ *testing.T, c *client, _ chan error) { c.hears("b\n") },
		},
		"and leaves": {
			func(c *client) { c.nc.Close() },
			func(t *testing.T, _ *client, ended chan error) {
				if err := servetest.Next(t, ended); err != io.EOF {
					t.Error(err)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, here, _, addr := singing(t)
			w.Swap()
			leaving, before := w.Next, w.Next.leaving
			c := dial(t, addr)
			c.send("a\n")
			c.hears("a\n")
			eventually(t, "the one before knows of it", func() bool {
				leaving.mu.Lock()
				defer leaving.mu.Unlock()
				return len(leaving.early) > 0
			})
			parkNow(w)
			tt.last(c)
			<-before.done
			w.Handover()
			tt.heard(t, c, here.ended)
		})
	}
}

// The same in one that has hung up, and is a standby again.
func TestEventConnAfterAHangup(t *testing.T) {
	w, _, _, addr := singing(t)
	w.Now.Hangup()
	w.Now.Unpair()
	must(t, w.Next.Arm())
	join(t, w.Next, w.Now)
	w.Now, w.Next = w.Next, w.Now
	c := dial(t, addr)
	c.send("a\n")
	c.hears("a\n")
	parkNow(w)
	c.send("b\n")
	w.Handover()
	c.hears("b\n")
}

// The next version may serve before the one before has taken note that it has let go, and what it says of a connection counts.
func TestSessionOfTheInstantAfterAHandover(t *testing.T) {
	w, _, there, addr := singing(t)
	c := dial(t, addr)
	c.send("a\n")
	c.hears("a\n")
	before := w.Now
	parkNow(w)
	before.turn.Lock()
	said, err := before.sayWords()
	must(t, err)
	must(t, before.sayEnd())
	must(t, w.Next.Arm())
	must(t, servetest.Next(t, there.conns).SetSession([]byte("sings louder")))
	eventually(t, "the one before knows the session", func() bool {
		before.mu.Lock()
		defer before.mu.Unlock()
		for l := range before.links {
			return string(l.session) == "sings louder"
		}
		return false
	})
	before.letGo(said)
	before.turn.Unlock()
	w.Now, w.Next = w.Next, w.Now
	w.Swap()
	c.send("b\n")
	c.hears("b\n")
}

// A park waits for the lines in hand, and no others: they travel.
func TestEventConnInHand(t *testing.T) {
	w, here, there, addr := singing(t)
	c := dial(t, addr)
	goOn := here.holdOn()
	c.send("one\ntwo\nthree\n")
	e := servetest.Next(t, here.conns)
	eventually(t, "it is being read", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.busy && !e.more
	})
	if err := w.Now.Park(t.Context(), time.Millisecond); !errors.Is(err, ErrBusy) {
		t.Errorf("%v, want %v", err, ErrBusy)
	}
	goOnThere := there.holdOn()
	parked := make(chan error, 1)
	go func() { parked <- w.Now.Park(t.Context(), servetest.Limit) }()
	eventually(t, "the park waits for it", e.Parking)
	goOn()
	must(t, <-parked)
	w.Handover()
	c.hears("one\n")
	goOnThere()
	c.hears("two\nthree\n")
}

// Whoever closes a connection, it ends once, for the client and for the handler.
func TestEventConnCloses(t *testing.T) {
	for name, end := range map[string]func(w *two, e *EventConn, goOn func()){
		"at rest": func(_ *two, e *EventConn, _ func()) { must(t, e.Close()) },
		"parked": func(w *two, e *EventConn, _ func()) {
			parkNow(w)
			must(t, e.Close())
			must(t, w.Now.Unpark())
		},
		"in hand": func(_ *two, e *EventConn, goOn func()) {
			must(t, e.Close())
			goOn()
		},
		"in hand, and a park waits": func(w *two, e *EventConn, goOn func()) {
			parked := make(chan error, 1)
			go func() { parked <- w.Now.Park(t.Context(), servetest.Limit) }()
			eventually(t, "the park waits for it", e.Parking)
			must(t, e.Close())
			goOn()
			must(t, <-parked)
			must(t, w.Now.Unpark())
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, here, _, addr := singing(t)
			c := dial(t, addr)
			e := servetest.Next(t, here.conns)
			goOn := here.holdOn()
			if strings.HasPrefix(name, "in hand") {
				c.send("line\n")
				eventually(t, "it is being read", func() bool {
					e.mu.Lock()
					defer e.mu.Unlock()
					return e.busy && !e.more
				})
			}
			end(w, e, goOn)
			if !c.gone() {
				t.Error("the client is still connected")
			}
			if err := servetest.Next(t, here.ended); !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
			must(t, e.Close())
			if n, m := w.Now.Connections(); n+m > 0 || len(here.ended) > 0 {
				t.Errorf("%d connections, told %d times more", n+m, len(here.ended))
			}
			if err := e.Push(nil, 1); !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		})
	}
}

// What was pushed is heard before the end, however it comes, and a connection that is ending travels.
func TestEventConnSaysAllBeforeItsEnd(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(w *two, e *EventConn, c *client)
		then string
	}{
		{"Discard", func(_ *two, e *EventConn, _ *client) { e.Discard() }, ""},
		{"the client's end", func(_ *two, _ *EventConn, c *client) { must(t, c.nc.(*net.TCPConn).CloseWrite()) }, ""},
		{"Hangup", func(w *two, _ *EventConn, _ *client) { go w.Now.Hangup() }, "bye\n"},
		{"Hangup elsewhere", func(w *two, _ *EventConn, _ *client) {
			w.Swap()
			go w.Now.Hangup()
		}, "bye\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, here, _, addr := singing(t)
			c := dial(t, addr)
			e := servetest.Next(t, here.conns)
			said := fill(t, e)
			tt.end(w, e, c)
			c.hears(said + tt.then)
			if rest, err := io.ReadAll(c.r); len(rest) > 0 || err != nil {
				t.Errorf("then it hears %q, %v", rest, err)
			}
			c.nc.Close()
			servetest.Next(t, here.ended)
		})
	}
}
