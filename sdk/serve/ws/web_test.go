package ws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/serve"
	"github.com/theseusd/theseus/sdk/serve/internal/servetest"
)

// web serves plain requests beside WebSockets, in two versions.
func newWebTwo(t *testing.T, h http.HandlerFunc) *two {
	s := newWall().server
	s.HTTP = h
	return newTwo(t, s, s)
}

// answer reads a response whole.
func (c *client) answer() string {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	must(c.t, err)
	b, err := io.ReadAll(resp.Body)
	must(c.t, err)
	return string(b)
}

// begin hands over, and returns what it has come to.
func begin(w *two, budget time.Duration) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- w.Now.Park(context.Background(), budget) }()
	return ended
}

// Requests broke, or their contexts ended, as soon as a switch began: a body that was still arriving, and a handler that
// needed a moment.
func TestPlainRequestsInHandAreFinishedInASwitch(t *testing.T) {
	entered, told := make(chan bool), make(chan bool)
	w := newWebTwo(t, func(w http.ResponseWriter, r *http.Request) {
		parking := serve.Parking(r.Context())
		half := make([]byte, 4)
		_, err := io.ReadFull(r.Body, half)
		entered <- true
		<-parking
		told <- true
		rest, rerr := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s%s %v %v", half, rest, errors.Join(err, rerr), r.Context().Err())
	})
	const head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n"
	for _, tt := range []struct {
		name   string
		budget time.Duration
	}{{"a switch", 20 * time.Second}, {"one that is called off", 100 * time.Millisecond}} {
		t.Run(tt.name, func(t *testing.T) {
			c := connect(t, w.Addr)
			c.send(head + "half")
			servetest.Next(t, entered)
			ended := begin(w, tt.budget)
			servetest.Next(t, told)
			want := "half,all <nil> <nil>"
			ends := want
			if tt.budget < time.Second {
				if err := servetest.Next(t, ended); !errors.Is(err, serve.ErrBusy) {
					t.Fatalf("%v, want %v", err, serve.ErrBusy)
				}
				ends = "half,all <nil> context canceled" // as for HTTP, when half of the budget was gone
			}
			c.send(",all")
			if got := c.answer(); got != want && got != ends {
				t.Errorf("%q, want %q or %q", got, want, ends)
			}
			if tt.budget > time.Second {
				must(t, servetest.Next(t, ended))
				must(t, w.Now.Unpark())
			}
		})
	}
}

// A handler that watches its context learns of a switch by it when half of the budget is gone, and by that alone.
func TestPlainRequestsThatTakeLongAreTold(t *testing.T) {
	entered := make(chan bool)
	w := newWebTwo(t, func(w http.ResponseWriter, r *http.Request) {
		entered <- true
		<-r.Context().Done()
		fmt.Fprint(w, context.Cause(r.Context()))
	})
	c := connect(t, w.Addr)
	c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	servetest.Next(t, entered)
	began := time.Now()
	const budget = 2 * time.Second
	must(t, servetest.Next(t, begin(w, budget)))
	if took := time.Since(began); took < budget/2 {
		t.Errorf("told after %v of %v", took, budget)
	}
	if got := c.answer(); got != serve.ErrParking.Error() {
		t.Errorf("the cause is %q", got)
	}
	must(t, w.Now.Unpark())
}

// What a client does not take of an answer fills no memory while a switch waits for it, and has an end.
func TestPlainAnswersThatNobodyReads(t *testing.T) {
	failed := make(chan error, 1)
	s := newWall().server
	s.WriteTimeout = 500 * time.Millisecond
	entered := make(chan bool)
	s.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-serve.Parking(r.Context())
		n, err := io.Copy(w, io.LimitReader(zeros{}, 1<<30))
		if err == nil {
			err = fmt.Errorf("%d bytes are waiting", n)
		}
		failed <- err
	})
	w := newTwo(t, s, s)
	c := connect(t, w.Addr)
	c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	servetest.Next(t, entered)
	must(t, servetest.Next(t, begin(w, 20*time.Second)))
	if err := servetest.Next(t, failed); !strings.Contains(err.Error(), "timeout") {
		t.Error(err)
	}
	must(t, w.Now.Unpark())
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// A connection that a handler has taken for another protocol keeps nobody from switching.
func TestTakenConnectionsAreHungUpInASwitch(t *testing.T) {
	w := newWebTwo(t, func(w http.ResponseWriter, _ *http.Request) {
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		_, _ = io.WriteString(nc, "mine\n")
		_, _ = rw.ReadString('\n')
	})
	c := connect(t, w.Addr)
	c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if line, err := c.r.ReadString('\n'); line != "mine\n" {
		t.Fatalf("%q, %v", line, err)
	}
	must(t, servetest.Next(t, begin(w, 20*time.Second)))
	must(t, w.Now.Unpark())
	w.Swap()
	if b, err := io.ReadAll(c.r); len(b) > 0 || err != nil && !isReset(err) {
		t.Errorf("it goes on: %q, %v", b, err)
	}
}
