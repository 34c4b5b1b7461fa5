package ws

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/theseusd/theseus/sdk/serve"
	"github.com/theseusd/theseus/sdk/serve/internal/servetest"
	"github.com/theseusd/theseus/sdk/serve/ws/wstest"
)

// wall is a service in which everybody gets what anybody says.
type wall struct {
	mu     sync.Mutex
	all    map[*Conn]bool
	lost   int // connections that ended
	moved  int // connections that were handed over
	filled chan filling
	server Server
}

// filling is how many messages a client was sent until it was too slow.
type filling struct {
	n   int
	err error
}

func newWall() *wall {
	w := &wall{all: map[*Conn]bool{}, filled: make(chan filling, 1)}
	w.server = Server{Open: w.enter, Resume: w.enter, Closed: w.leave, Message: w.say, MaxMessage: 4096, MaxQueue: 64 << 10}
	return w
}

func (w *wall) enter(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all[c] = true
}

func (w *wall) leave(c *Conn, moved bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, c)
	if moved {
		w.moved++
	} else {
		w.lost++
	}
}

func (w *wall) say(c *Conn, text bool, b []byte) {
	switch {
	case string(b) == "close":
		c.Close(3001, "shutdown")
	case string(b) == "session":
		_ = c.Send(true, c.Session())
	case bytes.HasPrefix(b, []byte("session=")):
		_ = c.SetSession(b[8:])
	case string(b) == "fill":
		n, err := 0, error(nil)
		for ; err == nil; n++ {
			err = c.Send(false, make([]byte, 1000))
		}
		c.Close(3008, "slow")
		w.filled <- filling{n - 1, err}
	case bytes.HasPrefix(b, []byte("all:")):
		w.mu.Lock()
		defer w.mu.Unlock()
		for other := range w.all {
			_ = other.Send(text, b[4:])
		}
	default:
		_ = c.Send(text, b)
	}
}

type two = servetest.Two[*serve.Group]

var must = servetest.Must

func newTwo(t testing.TB, now, next Server) *two {
	t.Helper()
	group := func(s Server) func(net.Listener) *serve.Group {
		return func(ln net.Listener) *serve.Group {
			g := serve.NewGroup(serve.Options{Limit: servetest.Limit})
			s.Stream(g, "ws", ln)
			return g
		}
	}
	return servetest.NewTwo(t, group(now), group(next))
}

// client is a WebSocket client that notices every wrong byte.
type client struct {
	t  testing.TB
	nc net.Conn
	r  *bufio.Reader
}

func connect(t testing.TB, addr net.Addr) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr.String())
	must(t, err)
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { nc.Close() })
	return &client{t, nc, bufio.NewReader(nc)}
}

func dial(t testing.TB, addr net.Addr) *client {
	t.Helper()
	c := connect(t, addr)
	c.send(upgrade(""))
	resp, err := http.ReadResponse(c.r, nil)
	must(t, err)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("the upgrade was answered with %s", resp.Status)
	}
	return c
}

func upgrade(more string) string {
	return "GET /ws HTTP/1.1\r\nHost: chat.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + more + "\r\n"
}

func (c *client) send(s string) {
	c.t.Helper()
	_, err := io.WriteString(c.nc, s)
	must(c.t, err)
}

// frame is one as a client sends it.
func frame(op ws.OpCode, fin bool, payload string) string {
	f := ws.NewFrame(op, fin, []byte(payload))
	return string(ws.MustCompileFrame(ws.MaskFrameWith(f, [4]byte{1, 2, 3, 4})))
}

func text(s string) string { return frame(ws.OpText, true, s) }

// expect reads a frame.
func (c *client) expect(op ws.OpCode, payload string) {
	c.t.Helper()
	f, err := wstest.ReadFrame(c.r)
	if err != nil || f.Header.OpCode != op || string(f.Payload) != payload || !f.Header.Fin || f.Header.Masked {
		c.t.Fatalf("got %+v %.60q (%v), want %v %.60q", f.Header, f.Payload, err, op, payload)
	}
}

// frame reads whatever comes next.
func (c *client) frame() (op ws.OpCode, payload string) {
	f, err := wstest.ReadFrame(c.r)
	if err != nil {
		c.t.Error(err)
	}
	return f.Header.OpCode, string(f.Payload)
}

// expectClose reads a close frame, answers it, and reads the end of the connection.
func (c *client) expectClose(code int) {
	c.t.Helper()
	f, err := wstest.ReadFrame(c.r)
	must(c.t, err)
	got, reason := ws.ParseCloseFrameData(f.Payload)
	if f.Header.OpCode != ws.OpClose || int(got) != code {
		c.t.Fatalf("got %v %d %q, want close %d", f.Header.OpCode, got, reason, code)
	}
	_, _ = io.WriteString(c.nc, frame(ws.OpClose, true, string(f.Payload)))
	if b, err := io.ReadAll(c.r); len(b) > 0 || err != nil && !isReset(err) {
		c.t.Fatalf("after the close: %q, %v", b, err)
	}
}

func isReset(err error) bool { return strings.Contains(err.Error(), "reset") }

func TestMessages(t *testing.T) {
	long := strings.Repeat("x", 4000)
	for _, tt := range []struct {
		name, send string
		op         ws.OpCode
		want       []string
	}{
		{"text", text("hello"), ws.OpText, []string{"hello"}},
		{"binary", frame(ws.OpBinary, true, "\xff\x00"), ws.OpBinary, []string{"\xff\x00"}},
		{"nothing", text(""), ws.OpText, []string{""}},
		{"two at once", text("a") + text("b"), ws.OpText, []string{"a", "b"}},
		{"longer than a byte can count", text(long), ws.OpText, []string{long}},
		{
			"fragments",
			frame(ws.OpText, false, "he") + frame(ws.OpContinuation, false, "") + frame(ws.OpContinuation, true, "llo"),
			ws.OpText,
			[]string{"hello"},
		},
		{"a letter in two fragments", frame(ws.OpText, false, "\xc3") + frame(ws.OpContinuation, true, "\xa9"), ws.OpText, []string{"é"}},
		{"a pong nobody asked for", frame(ws.OpPong, true, "x") + text("a"), ws.OpText, []string{"a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dial(t, newTwo(t, newWall().server, newWall().server).Addr)
			c.send(tt.send)
			for _, want := range tt.want {
				c.expect(tt.op, want)
			}
			c.send(frame(ws.OpPing, true, "still there?"))
			c.expect(ws.OpPong, "still there?")
			c.send(frame(ws.OpClose, true, string(ws.NewCloseFrameBody(1001, "bye"))))
			c.expectClose(1001)
		})
	}
}

func TestBrokenFramesEndTheConnectionWithTheirCode(t *testing.T) {
	for _, tt := range []struct {
		name, send string
		code       int
	}{
		{"not masked", string(ws.MustCompileFrame(ws.NewTextFrame([]byte("a")))), CloseProtocol},
		{"no UTF-8", text("\xff"), CloseUTF8},
		{"no UTF-8 at the end of fragments", frame(ws.OpText, false, "\xc3") + frame(ws.OpContinuation, true, "a"), CloseUTF8},
		{"too big", text(strings.Repeat("x", 4097)), CloseTooBig},
		{"too big, seen at its header", text(strings.Repeat("x", 1<<20))[:14], CloseTooBig},
		{
			"too big in fragments",
			frame(ws.OpText, false, strings.Repeat("x", 4000)) + frame(ws.OpContinuation, false, strings.Repeat("x", 97)), CloseTooBig,
		},
		{"a length of 2^63", "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", CloseProtocol},
		{"a reserved bit", "\xc1\x80\x00\x00\x00\x00", CloseProtocol},
		{"a reserved code", "\x83\x80\x00\x00\x00\x00", CloseProtocol},
		{"a continuation of nothing", frame(ws.OpContinuation, true, "a"), CloseProtocol},
		{"a message within a message", frame(ws.OpText, false, "a") + text("b"), CloseProtocol},
		{"a ping in fragments", frame(ws.OpPing, false, "a"), CloseProtocol},
		{"a close with half a code", frame(ws.OpClose, true, "\x03"), CloseProtocol},
		{"a close that cannot be said", frame(ws.OpClose, true, string(ws.NewCloseFrameBody(1005, ""))), CloseProtocol},
		{"a close with a reason that is no UTF-8", frame(ws.OpClose, true, "\x03\xe8\xff"), CloseProtocol},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, told := newWall(), make(chan int, 2)
			w.server.Broken = func(_ *Conn, code int) { told <- code }
			c := dial(t, newTwo(t, w.server, newWall().server).Addr)
			c.send(text("before") + tt.send + text("after"))
			c.expect(ws.OpText, "before")
			c.expectClose(tt.code)
			if code := <-told; code != tt.code || len(told) > 0 {
				t.Errorf("the service is told %d", code)
			}
		})
	}
}

func TestHandshakes(t *testing.T) {
	s := newWall().server
	s.Protocols, s.Origins = []string{"b", "c"}, []string{"friend.test:8080"}
	s.Admit = func(r *http.Request, protocol string) ([]byte, error) {
		switch r.URL.Query().Get("token") {
		case "forged":
			return nil, &Refusal{http.StatusUnauthorized, "who are you?"}
		case "late":
			return nil, fmt.Errorf("the secret host of tokens: %w", os.ErrDeadlineExceeded)
		}
		return []byte(protocol), nil
	}
	s.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %d", r.Method, r.URL.Path, len(b))
	})
	w := newTwo(t, s, s)
	body := strings.Repeat("x", 20_000)
	for _, tt := range []struct {
		name, send string
		status     int
		want       string
	}{
		{"an upgrade", upgrade(""), 101, ""},
		{"of a page of the same host", upgrade("Origin: http://chat.test\r\n"), 101, ""},
		{"of a page that is known", upgrade("Origin: https://friend.test:8080\r\n"), 101, ""},
		{"of another page", upgrade("Origin: http://evil.test\r\n"), 403, "this origin may not connect\n"},
		{"of no page at all", upgrade("Origin: null\r\n"), 403, "this origin may not connect\n"},
		{"a protocol", upgrade("Sec-WebSocket-Protocol: a, c, b\r\n"), 101, "c"},
		{"a forged token", strings.Replace(upgrade(""), "/ws", "/ws?token=forged", 1), 401, "who are you?\n"},
		{"one that nobody can check", strings.Replace(upgrade(""), "/ws", "/ws?token=late", 1), 403, "you may not connect\n"},
		{"an older version", strings.Replace(upgrade(""), "13", "8", 1), 426, ""},
		{"no key", strings.Replace(upgrade(""), "Sec-WebSocket-Key", "X", 1), 400, ""},
		{"a page", "GET /page HTTP/1.1\r\nHost: x\r\n\r\n", 200, "GET /page 0"},
		{"a call", fmt.Sprintf("POST /call HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body), 200, "POST /call 20000"},
		{"nonsense", "hello\r\n\r\n", 400, "the request cannot be read\n"},
		{"a header without an end", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", MaxHeader), 431, "the header is too large\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := connect(t, w.Addr)
			c.send(tt.send)
			resp, err := http.ReadResponse(c.r, nil)
			must(t, err)
			if resp.StatusCode != tt.status {
				t.Fatalf("got %s", resp.Status)
			}
			if tt.status == 101 {
				if got := resp.Header.Get("Sec-WebSocket-Protocol"); got != tt.want {
					t.Errorf("the protocol is %q", got)
				}
				c.send(text("session"))
				c.expect(ws.OpText, tt.want)
				return
			}
			if b, err := io.ReadAll(resp.Body); tt.want != "" && string(b) != tt.want || err != nil {
				t.Errorf("got %q, %v", b, err)
			}
			if _, err := c.r.ReadByte(); err == nil {
				t.Error("the connection goes on")
			}
		})
	}
}

// Wherever a client's bytes are cut by a switch, it gets the same answers, each of them once.
func TestSwapAtEveryOffset(t *testing.T) {
	stream := text("one") + frame(ws.OpText, false, "he") + frame(ws.OpPing, true, "p") + frame(ws.OpContinuation, false, "l") +
		frame(ws.OpContinuation, true, "lo") + frame(ws.OpBinary, true, "\xff") + text(strings.Repeat("x", 200))
	w := newTwo(t, newWall().server, newWall().server)
	c := dial(t, w.Addr)
	for cut := range len(stream) + 1 {
		c.send(stream[:cut])
		w.Swap()
		c.send(stream[cut:])
		c.expect(ws.OpText, "one")
		c.expect(ws.OpPong, "p")
		c.expect(ws.OpText, "hello")
		c.expect(ws.OpBinary, "\xff")
		c.expect(ws.OpText, strings.Repeat("x", 200))
	}
	hello := upgrade("")
	for cut := 0; cut < len(hello); cut += 7 {
		c := connect(t, w.Addr)
		c.send(hello[:cut])
		w.Swap()
		c.send(hello[cut:] + text("hello"))
		_, err := http.ReadResponse(c.r, nil)
		must(t, err)
		c.expect(ws.OpText, "hello")
	}
}

// A client that never speaks hears what is said right before a switch and right after it, and is never said to have left.
func TestASilentClientMissesNothingInASwitch(t *testing.T) {
	here, there := newWall(), newWall()
	w := newTwo(t, here.server, there.server)
	silent, speaker := dial(t, w.Addr), dial(t, w.Addr)
	silent.send(text("session=ada"))
	silent.send(text("x"))
	silent.expect(ws.OpText, "x")
	n := 0
	say := func() {
		t.Helper()
		n++
		speaker.send(text(fmt.Sprintf("all:%d", n)))
		speaker.expect(ws.OpText, fmt.Sprint(n))
	}
	for range 10 {
		say()
		say()
		w.Swap()
	}
	say()
	for i := range n {
		silent.expect(ws.OpText, fmt.Sprint(i+1))
	}
	silent.send(text("session"))
	silent.expect(ws.OpText, "ada")
	for _, x := range []*wall{here, there} {
		x.mu.Lock()
		if x.lost > 0 {
			t.Errorf("%d clients are said to have left", x.lost)
		}
		x.mu.Unlock()
	}
}

// A connection that is being closed is closed by the next version too, if its client does not answer.
func TestACloseSurvivesASwitch(t *testing.T) {
	w := newTwo(t, newWall().server, newWall().server)
	c := dial(t, w.Addr)
	c.send(text("close"))
	f, err := wstest.ReadFrame(c.r)
	must(t, err)
	if code, _ := ws.ParseCloseFrameData(f.Payload); code != 3001 {
		t.Fatalf("closed with %d", code)
	}
	w.Swap()
	c.send(text("are you there?"))
	if b, err := c.r.ReadByte(); err == nil {
		t.Fatalf("the connection goes on: %x", b)
	}
}

func TestMessagesAreMetered(t *testing.T) {
	s := newWall().server
	s.Message = func(c *Conn, _ bool, b []byte) {
		if string(b) == "fail" {
			c.Fail()
		}
		_ = c.Send(true, b)
	}
	w := newTwo(t, s, s)
	c := dial(t, w.Addr)
	for _, m := range []string{"a", "fail", "b"} {
		c.send(text(m))
		c.expect(ws.OpText, m)
	}
	c.send(frame(ws.OpClose, true, ""))
	_, _ = io.ReadAll(c.r)
	if got := w.Now.Meter().Traffic(); got.Requests != 3 || got.Failures != 1 {
		t.Errorf("got %+v", got)
	}
}

// However bytes are cut, the assembler finds the same in them, and never more than its limit.
func FuzzAssembler(f *testing.F) {
	f.Add([]byte(text("hello")+frame(ws.OpText, false, "he")+frame(ws.OpPing, true, "p")+frame(ws.OpContinuation, true, "llo")), 3)
	f.Add([]byte("\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"), 1)
	f.Add([]byte(frame(ws.OpBinary, true, strings.Repeat("x", 300))), 2)
	f.Add([]byte(frame(ws.OpClose, true, "\x03\xe8bye")), 5)
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		whole, wend := assemble(t, b, len(b), false)
		cut, cend := assemble(t, b, max(1, step%16), false)
		moved, mend := assemble(t, b, max(1, step%16), true)
		if !slices.Equal(whole, cut) || wend != cend {
			t.Fatalf("whole %q %s, in pieces %q %s", whole, wend, cut, cend)
		}
		if !slices.Equal(whole, moved) || wend != mend {
			t.Fatalf("whole %q %s, over many switches %q %s", whole, wend, moved, mend)
		}
	})
}

// assemble feeds b in steps. With moving there is a new assembler for each, as after a switch.
func assemble(t *testing.T, b []byte, step int, moving bool) (got []string, end string) {
	const limit = 256
	a := &assembler{limit: limit}
	var buf []byte
	for have := 0; have < len(b); {
		next := min(len(b), have+step)
		if moving {
			before := a.again()
			a = &assembler{limit: limit}
			buf = append(before, buf...)
		}
		buf = append(buf, b[have:next]...)
		have = next
		for len(buf) > 0 {
			m, done, n, err := a.next(buf)
			if err != nil {
				return got, err.Error()
			}
			if n == 0 {
				break
			}
			buf = buf[n:]
			if done {
				got = append(got, fmt.Sprintf("%v %q", m.op, m.payload))
			}
			if len(m.payload) > limit || len(a.whole) > limit {
				t.Fatalf("%d bytes of a message, %d of fragments", len(m.payload), len(a.whole))
			}
		}
	}
	return got, ""
}
