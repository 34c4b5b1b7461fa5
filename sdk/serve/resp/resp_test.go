package resp

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/sdk/serve"
	"github.com/theseusd/theseus/sdk/serve/internal/servetest"
)

// testHandler answers a few commands.
func testHandler(version string) Handler {
	return func(c *Conn, args [][]byte) {
		switch strings.ToUpper(string(args[0])) {
		case "PING":
			c.WriteString("PONG")
		case "ECHO":
			c.WriteBulk(args[1])
		case "VERSION":
			c.WriteBulkString(version)
		case "PROTO":
			if len(args) > 1 {
				_ = c.SetProto(int(args[1][0] - '0'))
			}
			c.WriteMap(1)
			c.WriteBulkString("proto")
			c.WriteInt(int64(c.Proto()))
		case "NAME":
			if len(args) > 1 {
				_ = c.SetSession(args[1])
			}
			c.WriteBulk(c.Session())
		case "SORRY":
			mark := c.Buffered()
			c.Collect(true)
			c.WriteArray(2)
			c.WriteBulk(bytes.Repeat([]byte("x"), 2*flushSize))
			c.Truncate(mark)
			c.WriteError("ERR sorry")
			c.Collect(false)
		case "BIG":
			c.WriteBulk(bytes.Repeat([]byte("x"), 8<<20))
		default:
			c.WriteError("ERR unknown command")
		}
	}
}

type two = servetest.Two[*serve.Group]

var must = servetest.Must

func newTwo(t testing.TB) *two {
	return newTwoOf(t, Server{Handle: testHandler("v1")}, Server{Handle: testHandler("v2")})
}

func newTwoOf(t testing.TB, now, next Server) *two {
	t.Helper()
	group := func(s Server) func(net.Listener) *serve.Group {
		return func(ln net.Listener) *serve.Group {
			g := serve.NewGroup(serve.Options{Limit: servetest.Limit})
			s.Stream(g, "resp", ln)
			return g
		}
	}
	return servetest.NewTwo(t, group(now), group(next))
}

func dial(t testing.TB, addr net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	must(t, err)
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

// expect reads exactly want.
func expect(t testing.TB, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c, got)
	if err != nil || string(got) != want {
		t.Fatalf("got %.100q (%v), want %.100q", got[:n], err, want)
	}
}

func TestCommands(t *testing.T) {
	for _, tt := range []struct{ name, send, want string }{
		{"a command", "*1\r\n$4\r\nPING\r\n", "+PONG\r\n"},
		{"an inline command", "ping\r\n", "+PONG\r\n"},
		{"an inline command with quotes", "ECHO \"a b\"\r\n", "$3\r\na b\r\n"},
		{"an inline command that looks odd", "$4 x\r\nPING\r\n", "-ERR unknown command\r\n+PONG\r\n"},
		{"empty lines", "\r\n\r\nPING\r\n", "+PONG\r\n"},
		{"no arguments", "*0\r\n*-1\r\nPING\r\n", "+PONG\r\n"},
		{"pipelined", "PING\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\nPING\r\n", "+PONG\r\n$0\r\n\r\n+PONG\r\n"},
		{"an answer that is taken back", "PING\r\nSORRY\r\nPING\r\n", "+PONG\r\n-ERR sorry\r\n+PONG\r\n"},
		{"quit", "*1\r\n$4\r\nQUIT\r\nPING\r\n", "+OK\r\n"},
		{"no bulk", "*1\r\n:1\r\n", "-ERR Protocol error: expected '$', got ':'\r\n"},
		{"a negative length", "*1\r\n$-10\r\nabc\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
		{"too long", "*1\r\n$536870913\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
		{"too many", "*1048577\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
		{"not a number", "*x\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
		{"no line end", "*1\r\n$1\r\nabc", "-ERR Protocol error: invalid bulk length\r\n"},
		{"quotes that do not end", "ECHO \"a\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
		{"a line that does not end", strings.Repeat("a", 70_000), "-ERR Protocol error: too big inline request\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newTwo(t)
			c := dial(t, w.Addr)
			go io.WriteString(c, tt.send)
			expect(t, c, tt.want)
			if strings.Contains(tt.want, "Protocol") || tt.name == "quit" {
				if _, err := c.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
					t.Fatalf("the connection goes on after it: %v", err)
				}
			}
		})
	}
}

func TestSwapAtEveryOffset(t *testing.T) {
	stream := "*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\nPING\r\n*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$2\r\n\r\n\r\n"
	want := "$5\r\nhello\r\n+PONG\r\n+PONG\r\n$2\r\n\r\n\r\n"
	w := newTwo(t)
	c := dial(t, w.Addr)
	for cut := range len(stream) + 1 {
		_, _ = io.WriteString(c, stream[:cut])
		w.Swap()
		_, _ = io.WriteString(c, stream[cut:])
		expect(t, c, want)
	}
}

func TestProtocolAndSessionTravel(t *testing.T) {
	w := newTwo(t)
	c := dial(t, w.Addr)
	_, _ = io.WriteString(c, "PROTO\r\nPROTO 3\r\nNAME ada\r\n")
	expect(t, c, "*2\r\n$5\r\nproto\r\n:2\r\n%1\r\n$5\r\nproto\r\n:3\r\n$3\r\nada\r\n")
	for range 3 {
		w.Swap()
		_, _ = io.WriteString(c, "PROTO\r\nNAME\r\n")
		expect(t, c, "%1\r\n$5\r\nproto\r\n:3\r\n$3\r\nada\r\n")
	}
}

// A client that does not read its replies does not hold up a swap, and gets every byte in the end.
func TestSlowReader(t *testing.T) {
	w := newTwo(t)
	c := dial(t, w.Addr)
	_, _ = io.WriteString(c, "BIG\r\nBIG\r\nPING\r\n")
	servetest.Eventually(t, "a reply of more bytes than sockets take", func() bool { n, err := waiting(c); return n > 0 || err != nil })
	for range 3 {
		w.Swap()
	}
	big := fmt.Sprintf("$%d\r\n%s\r\n", 8<<20, strings.Repeat("x", 8<<20))
	expect(t, c, big+big+"+PONG\r\n")
}

// waiting is how many bytes have come that the client has not read.
func waiting(c net.Conn) (n int, err error) {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	}
	return n, err
}

// A large argument that is half here travels.
func TestLargeUnreadArgument(t *testing.T) {
	w := newTwo(t)
	c := dial(t, w.Addr)
	v := strings.Repeat("v", 6<<20)
	_, _ = fmt.Fprintf(c, "*2\r\n$4\r\nECHO\r\n$%d\r\n%s", len(v), v[:len(v)-10])
	w.Swap()
	_, _ = io.WriteString(c, v[len(v)-10:]+"\r\n")
	expect(t, c, fmt.Sprintf("$%d\r\n%s\r\n", len(v), v))
}

// Pipelining clients never pause; each answer is checked over many swaps.
func TestPipelinesUnderSwaps(t *testing.T) {
	w := newTwo(t)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for id := range 10 {
		c := dial(t, w.Addr)
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				var send, want strings.Builder
				for k := range 20 {
					v := fmt.Sprintf("%d-%d-%d", id, i, k)
					fmt.Fprintf(&send, "*2\r\n$4\r\nECHO\r\n$%d\r\n%s\r\n", len(v), v)
					fmt.Fprintf(&want, "$%d\r\n%s\r\n", len(v), v)
				}
				_, _ = io.WriteString(c, send.String())
				got := make([]byte, want.Len())
				if n, err := io.ReadFull(c, got); err != nil || string(got) != want.String() {
					t.Errorf("client %d, round %d: %d bytes, %v", id, i, n, err)
					return
				}
			}
		})
	}
	for range 50 {
		w.Swap()
		time.Sleep(5 * time.Millisecond)
	}
	close(stop)
	wg.Wait()
}

// What has arrived of a command decides nothing: however it is cut, the parser finds the same.
func FuzzParser(f *testing.F) {
	f.Add([]byte("*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\nPING\r\n"), 3)
	f.Add([]byte("*1\r\n$-10\r\nabc\r\n"), 1)
	f.Add([]byte("$3 abc\r\n*0\r\n"), 2)
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		whole, werr := parseAll(b, len(b))
		cut, cerr := parseAll(b, max(1, step%16))
		if fmt.Sprint(whole, werr) != fmt.Sprint(cut, cerr) {
			t.Fatalf("whole %q %v, in pieces %q %v", whole, werr, cut, cerr)
		}
	})
}

func parseAll(b []byte, step int) (cmds []string, err error) {
	var p parser
	pos := 0
	for have := 0; have < len(b); {
		have = min(len(b), have+step)
		for {
			args, n, err := p.next(b[pos:have])
			if err != nil {
				return cmds, err
			}
			if n == 0 {
				break
			}
			pos += n
			if len(args) > 0 {
				cmds = append(cmds, fmt.Sprintf("%q", args))
			}
		}
	}
	return cmds, nil
}

func TestCommandsAreMetered(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	g := serve.NewGroup(serve.Options{})
	g.Stream("resp", ln, Serve(func(c *Conn, args [][]byte) {
		switch string(args[0]) {
		case "FAIL":
			c.WriteFailure("ERR the disk is full")
		case "WRONG":
			c.WriteError("ERR no such command")
		default:
			c.WriteOK()
		}
	}))
	must(t, g.Arm())
	t.Cleanup(func() { g.Hangup(); g.Unpair(); ln.Close() })
	nc, err := net.Dial("tcp", ln.Addr().String())
	must(t, err)
	defer nc.Close()
	_, err = nc.Write([]byte("PING\r\nFAIL\r\nWRONG\r\nFAIL\r\nQUIT\r\n"))
	must(t, err)
	_, err = io.ReadAll(nc)
	must(t, err)
	if got := g.Meter().Traffic(); got.Requests != 5 || got.Failures != 2 {
		t.Errorf("got %+v", got)
	}
}
