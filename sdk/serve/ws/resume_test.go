package ws

import (
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/sdk/serve/internal/servetest"
)

// inTime fails if f hangs.
func inTime(t *testing.T, f func()) {
	t.Helper()
	ended := make(chan struct{})
	go func() { defer close(ended); f() }()
	select {
	case <-ended:
	case <-time.After(servetest.Limit):
		t.Fatal("it hangs, and so does the whole group")
	}
}

// A service that closed connections in Resume, asked for their sessions, or took a lock there under which it keeps sessions
// elsewhere, never served.
func TestResumeMayUseAllConnections(t *testing.T) {
	there := newWall()
	var mu sync.Mutex // of the service, for its users
	users := map[string]*Conn{}
	there.server.Resume = func(c *Conn) {
		user := string(c.Session())
		if older := users[user]; older != nil {
			older.Close(3002, "elsewhere")
			if string(older.Session()) != user+" again" {
				t.Errorf("the session is %q", older.Session())
			}
			held := make(chan struct{})
			go func() {
				mu.Lock()
				defer mu.Unlock()
				close(held)
				_ = older.SetSession([]byte("nobody"))
			}()
			<-held
		}
		mu.Lock()
		defer mu.Unlock()
		users[user] = c
		if err := c.SetSession([]byte(user + " again")); err != nil {
			t.Error(err)
		}
		there.enter(c)
	}
	w := newTwo(t, newWall().server, there.server)
	two := []*client{dial(t, w.Addr), dial(t, w.Addr)}
	for _, c := range two {
		c.send(text("session=ada"))
		c.send(text("session"))
		c.expect(ws.OpText, "ada")
	}
	inTime(t, w.Swap)
	closed, served := make(chan bool, 2), make(chan bool, 2)
	for _, c := range two {
		go func() {
			c.send(text("session"))
			if op, payload := c.frame(); op == ws.OpClose && payload[2:] == "elsewhere" {
				closed <- true
			} else if op == ws.OpText && payload == "ada again" {
				served <- true
			} else {
				t.Errorf("%v %q", op, payload)
			}
		}()
	}
	inTime(t, func() { <-closed; <-served })
}

// A version that was out of descriptors lost clients that had come to it: it needs none for them.
func TestAVersionOutOfDescriptorsServesWhoHasCome(t *testing.T) {
	there := newWall()
	var before unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	there.server.Resume = func(c *Conn) {
		there.enter(c)
		none := before
		none.Cur = 3
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
			t.Error(err)
		}
	}
	w := newTwo(t, newWall().server, there.server)
	t.Cleanup(func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &before) })
	c := dial(t, w.Addr)
	c.send(text("a"))
	c.expect(ws.OpText, "a")
	inTime(t, w.Swap)
	c.send(text("b"))
	c.expect(ws.OpText, "b")
}
