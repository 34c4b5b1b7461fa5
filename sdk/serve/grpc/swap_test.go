package grpc

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	gogrpc "google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/theseusd/theseus/sdk/serve"
	"github.com/theseusd/theseus/sdk/serve/internal/servetest"
)

// lab is a service that says which version it is; a call for "wait" tells that it runs, and waits.
func lab(version string, runs, goOn chan bool) *Server {
	s := NewServer()
	s.RegisterService(&gogrpc.ServiceDesc{ServiceName: "test.Lab", HandlerType: (*any)(nil), Methods: []gogrpc.MethodDesc{{
		MethodName: "Say",
		Handler: func(_ any, _ context.Context, dec func(any) error, _ gogrpc.UnaryServerInterceptor) (any, error) {
			var in wrapperspb.StringValue
			if err := dec(&in); err != nil {
				return nil, err
			}
			if in.Value == "wait" {
				runs <- true
				<-goOn
			}
			return wrapperspb.String(version + " " + in.Value), nil
		},
	}}}, nil)
	return s
}

// two are two versions on one listener; the first one serves.
type two struct {
	*servetest.Two[*serve.Group]
	runs, goOn chan bool
	conn       atomic.Pointer[serve.Conn] // the last one
}

func newTwo(t *testing.T) *two {
	t.Helper()
	w := &two{runs: make(chan bool), goOn: make(chan bool)}
	group := func(version string) func(ln net.Listener) *serve.Group {
		return func(ln net.Listener) *serve.Group {
			g, s := serve.NewGroup(serve.Options{Limit: servetest.Limit}), lab(version, w.runs, w.goOn)
			g.Stream("grpc", ln, func(c *serve.Conn) {
				w.conn.Store(c)
				s.Serve(c)
			})
			return g
		}
	}
	w.Two = servetest.NewTwo(t, group("v1"), group("v2"))
	return w
}

var must = servetest.Must

// caller is a client that says what it is told, byte by byte.
type caller struct {
	t testing.TB
	net.Conn
	frames *http2.Framer
}

func (w *two) dial() *caller {
	w.T.Helper()
	c, err := net.Dial("tcp", w.Addr.String())
	must(w.T, err)
	w.T.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return &caller{w.T, c, http2.NewFramer(nil, c)}
}

func (c *caller) send(b []byte) {
	c.t.Helper()
	_, err := c.Write(b)
	must(c.t, err)
}

// next is the message of the next answer.
func (c *caller) next() string {
	c.t.Helper()
	for {
		f, err := c.frames.ReadFrame()
		must(c.t, err)
		switch f := f.(type) {
		case *http2.DataFrame:
			var out wrapperspb.StringValue
			must(c.t, unmarshal(f.Data(), &out))
			return out.Value
		case *http2.GoAwayFrame:
			c.t.Fatalf("GOAWAY: %v %s", f.ErrCode, f.DebugData())
		}
	}
}

// answers are the next ones, as show shows them.
func (c *caller) answers(n int, show func(string) string) string {
	c.t.Helper()
	var all []string
	for range n {
		all = append(all, show(c.next()))
	}
	return strings.Join(all, ",")
}

func withoutVersion(answer string) string { return answer[len("v1 "):] }
func whole(answer string) string          { return answer }

func unmarshal(body []byte, into *wrapperspb.StringValue) error {
	message, err := unwrap(body)
	if err != nil {
		return err
	}
	return proto.Unmarshal(message, into)
}

// asking are the bytes of calls: each a header in two frames and a message in two.
func asking(first uint32, texts ...string) (b []byte) {
	header := block(":method", "POST", ":path", "/test.Lab/Say", "content-type", "application/grpc")
	for _, text := range texts {
		message, _ := wrap(wrapperspb.String(text))
		b = addFrame(b, kindHeaders, 0, first, header[:7]...)
		b = addFrame(b, kindContinuation, flagEndHeaders, first, header[7:]...)
		b = addFrame(b, kindData, 0, first, message[:3]...)
		b = addFrame(b, kindData, flagEndStream, first, message[3:]...)
		first += 2
	}
	return b
}

// greeting are the first bytes of a client that has read the settings, or not yet.
func greeting(acked bool) []byte {
	b := addFrame([]byte(preface), kindSettings, 0, 0)
	if acked {
		b = addFrame(b, kindSettings, flagAck, 0)
	}
	return b
}

// Wherever in its bytes a connection goes to another version, or is kept by one that was to go: every call is answered once.
func TestSwapAtEveryOffset(t *testing.T) {
	w := newTwo(t)
	for _, acked := range []bool{false, true} {
		sent := append(greeting(acked), asking(1, "a", "b")...)
		for cut := range len(sent) + 1 {
			c := w.dial()
			c.send(sent[:cut])
			if cut%3 == 0 {
				must(t, w.Now.Park(t.Context(), 5*time.Second))
				must(t, w.Now.Unpark())
			} else {
				w.Swap()
			}
			c.send(sent[cut:])
			if got := c.answers(2, withoutVersion); got != "a,b" {
				t.Fatalf("acknowledged %v, cut at %d: got %s", acked, cut, got)
			}
			_ = c.Close()
		}
	}
}

// A version that is about to hand over answers the call in hand; those that it has read behind it are for the next one, or for
// itself if it stays.
func TestCallsBehindTheOneInHandGoToWhoeverServes(t *testing.T) {
	for _, stays := range []bool{false, true} {
		w := newTwo(t)
		c := w.dial()
		c.send(append(greeting(true), asking(1, "wait", "b", "c")...))
		<-w.runs
		parked := make(chan error)
		go func() { parked <- w.Now.Park(context.Background(), 10*time.Second) }()
		<-w.conn.Load().Parking()
		w.goOn <- true
		must(t, <-parked)
		want := "v1 wait,v2 b,v2 c,v2 d"
		if stays {
			want = "v1 wait,v1 b,v1 c,v1 d"
			must(t, w.Now.Unpark())
		} else {
			w.Handover()
		}
		c.send(asking(7, "d"))
		if got := c.answers(4, whole); got != want {
			t.Errorf("stays %v: got %s", stays, got)
		}
	}
}

// A call that does not end keeps its version from letting go, and nobody loses an answer over it.
func TestAParkThatIsCalledOffCostsNoCall(t *testing.T) {
	w := newTwo(t)
	c := w.dial()
	c.send(append(greeting(true), asking(1, "wait", "b")...))
	<-w.runs
	if err := w.Now.Park(t.Context(), 10*time.Millisecond); !errors.Is(err, serve.ErrBusy) {
		t.Fatal(err)
	}
	w.goOn <- true
	c.send(asking(5, "c"))
	if got := c.answers(3, whole); got != "v1 wait,v1 b,v1 c" {
		t.Errorf("got %s", got)
	}
	w.Swap()
	c.send(asking(7, "d"))
	if got := c.next(); got != "v2 d" {
		t.Errorf("got %s", got)
	}
}
