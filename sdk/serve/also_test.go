package serve

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A listener that moves is answered at both places while a switch may still be taken back, and a connection travels both
// ways wherever it came in.
func TestMovedListenerIsAnsweredAtBothPlaces(t *testing.T) {
	before, after := listenTCP(t), listenTCP(t)
	old, neu := NewGroup(Options{}), NewGroup(Options{})
	old.HTTP("http", twin(t, before), &http.Server{Handler: echo("old")})
	neu.HTTP("http", twin(t, after), &http.Server{Handler: echo("new")})
	must(t, neu.Also("http", twin(t, before)))
	if err := neu.Also("none", twin(t, before)); err == nil {
		t.Error("a listener leads nowhere, and nobody says so")
	}
	must(t, old.Arm())
	join(t, old, neu)
	swap := func(from, to *Group) {
		t.Helper()
		must(t, from.Park(t.Context(), time.Second))
		_, err := from.Finish()
		must(t, err)
		must(t, to.Await(t.Context()))
		must(t, to.Arm())
	}
	swap(old, neu)
	c1, c2 := dial(t, before.Addr()), dial(t, after.Addr())
	wantAnswer(t, c1, "new")
	wantAnswer(t, c2, "new")
	swap(neu, old)
	wantAnswer(t, c1, "old")
	wantAnswer(t, c2, "old")
	swap(old, neu)
	neu.Only()
	wantAnswer(t, c1, "new")
	wantAnswer(t, c2, "new")
	wantAnswer(t, dial(t, after.Addr()), "new")
	if served, _ := neu.Connections(); served != 3 {
		t.Errorf("%d connections are served, want 3", served)
	}
	neu.Hangup()
}

func wantAnswer(t *testing.T, c *client, version string) {
	t.Helper()
	if got := c.get("/version"); got != version {
		t.Errorf("%q answers, want %q", got, version)
	}
}

// listenPlain is a listener as the keel has them, without multipath TCP.
func listenPlain(t *testing.T) net.Listener {
	t.Helper()
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// Whoever could connect is served, also in the instant in which a listener closes; the keel closes it later than the group.
func TestNobodyIsResetWhenAListenerCloses(t *testing.T) {
	before, after := listenPlain(t), listenPlain(t)
	g := NewGroup(Options{})
	g.HTTP("http", twin(t, after), &http.Server{Handler: echo("new")})
	must(t, g.Also("http", twin(t, before)))
	must(t, g.Arm())
	defer g.Hangup()
	var clients sync.WaitGroup
	var tries, served, failed atomic.Int64
	closed := make(chan struct{})
	for range 4 {
		clients.Go(func() {
			for {
				tries.Add(1)
				nc, err := net.DialTimeout("tcp", before.Addr().String(), 100*time.Millisecond)
				if err != nil {
					select {
					case <-closed:
						return
					default:
						continue // nobody says that it is connected
					}
				}
				if ask(nc) == nil {
					served.Add(1)
				} else {
					failed.Add(1)
				}
			}
		})
	}
	eventually(t, "clients that are served", func() bool { return served.Load() >= 50 })
	g.Only()
	n := tries.Load()
	eventually(t, "clients that try while other processes have it open still", func() bool { return tries.Load() >= n+8 })
	must(t, before.Close())
	close(closed)
	clients.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d of %d connections were not served", failed.Load(), served.Load()+failed.Load())
	}
}

// ask sends one request and wants an answer.
func ask(nc net.Conn) error {
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(nc, "GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	answer, err := io.ReadAll(nc)
	if err == nil && !bytes.HasPrefix(answer, []byte("HTTP/1.1 200")) {
		err = errors.New(string(answer))
	}
	return err
}

// A listener that was shut is open again for whoever serves there: its address may come back.
func TestShutListenerIsOpenAgainOnceSomebodyServes(t *testing.T) {
	ln := listenPlain(t)
	newPort("http", twin(t, ln)).shut()
	if nc, err := net.DialTimeout("tcp", ln.Addr().String(), 100*time.Millisecond); err == nil {
		_ = nc.Close()
		t.Error("it was not shut")
	}
	g := NewGroup(Options{})
	g.HTTP("http", twin(t, ln), &http.Server{Handler: echo("again")})
	must(t, g.Arm())
	defer g.Hangup()
	wantAnswer(t, dial(t, ln.Addr()), "again")
}
