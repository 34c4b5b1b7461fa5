package grpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/theseusd/theseus/sdk/serve"
)

// echo is a service with one method, which does what it is told.
var echo = gogrpc.ServiceDesc{ServiceName: "test.Echo", HandlerType: (*any)(nil), Methods: []gogrpc.MethodDesc{{
	MethodName: "Say",
	Handler: func(_ any, ctx context.Context, dec func(any) error, _ gogrpc.UnaryServerInterceptor) (any, error) {
		var in wrapperspb.StringValue
		if err := dec(&in); err != nil {
			return nil, err
		}
		md, _ := metadata.FromIncomingContext(ctx)
		switch deadline, ok := ctx.Deadline(); in.Value {
		case "panic":
			panic("no")
		case "fail":
			return nil, status.Error(codes.NotFound, "ünknown 100%")
		case "deadline":
			return wrapperspb.String(fmt.Sprint(ok, time.Until(deadline) > 50*time.Second)), nil
		case "metadata":
			return wrapperspb.String(strings.Join(md["x-a"], ",")), nil
		case "bytes":
			return wrapperspb.String(fmt.Sprintf("%x", md["x-bin"])), nil
		case "peer":
			p, _ := peer.FromContext(ctx)
			method, _ := gogrpc.Method(ctx)
			return wrapperspb.String(p.Addr.Network() + method), nil
		case "answer":
			return &in, dress(ctx)
		case "details":
			st, err := status.New(codes.NotFound, "with details").WithDetails(wrapperspb.String("more"))
			if err = errors.Join(dress(ctx), err); err == nil {
				err = st.Err()
			}
			return nil, err
		}
		return &in, nil
	},
}}}

// dress gives an answer headers and trailers.
func dress(ctx context.Context) error {
	return errors.Join(
		gogrpc.SetHeader(ctx, metadata.Pairs("x-head", "h", "grpc-status", "3")),
		gogrpc.SetTrailer(ctx, metadata.Pairs("x-tail-bin", "\x00\xff", "x-tail", strings.Repeat("t", 40_000))),
	)
}

// hop is a connection that goes to another version at every so many reads: the handler is ended and begins anew with
// nothing but what it held and its session.
type hop struct {
	net.Conn
	every   int // reads; never if 0
	reads   int
	session []byte
	unread  []byte
	pieces  bool // each read gives a few bytes
	parking chan struct{}
	hopping bool
}

var meter serve.Meter

func (h *hop) Parking() <-chan struct{}  { return h.parking }
func (h *hop) Session() []byte           { return h.session }
func (h *hop) Meter() *serve.Meter       { return &meter }
func (h *hop) SetSession(b []byte) error { h.session = b; return nil }

func (h *hop) Handover(unread, _ []byte) { h.unread = append([]byte(nil), unread...) }

func (h *hop) ReadMore(held, free []byte) (int, error) {
	n, err := h.Read(free)
	if err != nil && h.hopping {
		h.unread = append([]byte(nil), held...)
	}
	return n, err
}

func (h *hop) Read(free []byte) (int, error) {
	h.hopping = false
	if len(h.unread) > 0 {
		n := copy(free, h.unread)
		h.unread = h.unread[n:]
		return n, nil
	}
	if h.reads++; h.every > 0 && h.reads%h.every == 0 {
		h.hopping = true
		return 0, serve.ErrHandover
	}
	if h.pieces && len(free) > 7 {
		free = free[:1+rand.IntN(7)]
	}
	return h.Conn.Read(free)
}

// startHops serves a listener whose connections hop, and returns a client.
func startHops(t testing.TB, every int, pieces bool) (*gogrpc.ClientConn, string) {
	t.Helper()
	s := NewServer()
	s.RegisterService(&echo, nil)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go serveHops(s, &hop{Conn: c, every: every, pieces: pieces, parking: make(chan struct{})})
		}
	}()
	cc, err := gogrpc.NewClient(ln.Addr().String(), gogrpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return cc, ln.Addr().String()
}

func serveHops(s *Server, h *hop) {
	defer h.Close()
	for {
		newConn(s, h).run()
		if h.unread == nil {
			return
		}
	}
}

func say(t testing.TB, cc *gogrpc.ClientConn, text string, opts ...gogrpc.CallOption) (string, error) {
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var out wrapperspb.StringValue
	err := cc.Invoke(metadata.AppendToOutgoingContext(ctx, "x-a", "1", "x-a", "2"), "/test.Echo/Say", wrapperspb.String(text), &out, opts...)
	return out.Value, err
}

func TestUnaryCalls(t *testing.T) {
	cc, _ := startHops(t, 0, false)
	for in, want := range map[string]string{"hello": "hello", "": "", "deadline": "true true", "metadata": "1,2"} {
		if got, err := say(t, cc, in); err != nil || got != want {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
	for in, want := range map[string]string{"panic": "Internal panic: no", "fail": "NotFound ünknown 100%", strings.Repeat("x", MaxMessage+1): "ResourceExhausted a message has at most"} {
		_, err := say(t, cc, in)
		if got := status.Code(err).String() + " " + status.Convert(err).Message(); !strings.HasPrefix(got, want) {
			t.Errorf("%.10s: %s", in, got)
		}
	}
	if err := cc.Invoke(t.Context(), "/test.Echo/None", wrapperspb.String(""), wrapperspb.String("")); status.Code(err) != codes.Unimplemented {
		t.Error(err)
	}
	if got, err := say(t, cc, "still here"); err != nil || got != "still here" {
		t.Errorf("%q, %v", got, err)
	}
}

// A connection may go to another version at every read, in the middle of any frame, header or message, before the
// client has acknowledged the settings, and with answers that a small window keeps back: no call notices.
func TestNoCallNoticesThatItsConnectionGoes(t *testing.T) {
	for _, pieces := range []bool{false, true} {
		for _, every := range []int{1 << 30, 2, 3, 5} {
			cc, _ := startHops(t, every, pieces)
			size := 200_000
			if pieces {
				size = 2_000
			}
			var all sync.WaitGroup
			for n := range 20 {
				all.Go(func() {
					for i := range 10 {
						in := fmt.Sprint(n, ".", i)
						if i == 5 {
							in += strings.Repeat("y", size)
						}
						if got, err := say(t, cc, in); err != nil || got != in {
							t.Errorf("every %d, pieces %v: %d bytes for %d, %v", every, pieces, len(got), len(in), err)
							return
						}
					}
				})
			}
			all.Wait()
		}
	}
}

// What breaks the protocol gets a GOAWAY that says why, and ends its own connection alone.
func TestBrokenClients(t *testing.T) {
	cc, addr := startHops(t, 0, false)
	settings := slices.Clip(addFrame([]byte(preface), kindSettings, 0, 0))
	header := block(":method", "POST", ":path", "/test.Echo/Say", "content-type", "application/grpc")
	for name, client := range map[string]struct {
		sent []byte
		code http2.ErrCode
	}{
		"headers in nothings":   {slices.Concat(addFrame(settings, kindHeaders, 0, 1), bytes.Repeat(addFrame(nil, kindContinuation, 0, 1), 10_000)), errCalm},
		"HTTP/1.1":              {[]byte("GET / HTTP/1.1\r\n\r\n"), errProtocol},
		"a huge frame":          {append(settings, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1), errFrameSize},
		"half a setting":        {addFrame(settings, kindSettings, 0, 0, 1, 2, 3), errFrameSize},
		"a huge window":         {addFrame(settings, kindSettings, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff), errFlow},
		"a short ping":          {addFrame(settings, kindPing, 0, 0, 1), errFrameSize},
		"no window":             {addNumber(settings, kindWindow, 0, 0), errFlow},
		"a window over all":     {addNumber(settings, kindWindow, 0, largestOfAll), errFlow},
		"an even call":          {addBlock(settings, 2, 0, header), errProtocol},
		"a call twice":          {addBlock(addBlock(settings, 1, flagEndStream, header), 1, 0, header), errProtocol},
		"bad compression":       {addBlock(settings, 1, 0, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}), errCompress},
		"data of no call":       {addFrame(settings, kindData, 0, 7, 1), errProtocol},
		"more padding":          {addFrame(addBlock(settings, 1, 0, header), kindData, flagPadded, 1, 9), errProtocol},
		"a push":                {addFrame(settings, kindPush, 0, 1), errProtocol},
		"a header without end":  {addFrame(addFrame(settings, kindHeaders, 0, 1), kindPing, 0, 0, make([]byte, 8)...), errProtocol},
		"headers without bound": {addContinuations(addFrame(settings, kindHeaders, 0, 1)), errCalm},
	} {
		if code := lastWord(t, addr, client.sent); code != client.code {
			t.Errorf("%s: %v, want %v", name, code, client.code)
		}
	}
	if got, err := say(t, cc, "others"); err != nil || got != "others" {
		t.Errorf("%q, %v", got, err)
	}
}

func addContinuations(b []byte) []byte {
	for range 6 {
		b = addFrame(b, kindContinuation, 0, 1, make([]byte, maxFrame)...)
	}
	return b
}

// lastWord is the code of the GOAWAY that answers what is sent.
func lastWord(t *testing.T, addr string, sent []byte) http2.ErrCode {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Write(sent); err != nil {
		t.Fatal(err)
	}
	for r := http2.NewFramer(nil, c); ; {
		f, err := r.ReadFrame()
		if err != nil {
			return http2.ErrCode(99)
		}
		if away, ok := f.(*http2.GoAwayFrame); ok {
			return away.ErrCode
		}
	}
}

// More calls than allowed are refused one by one; those that were taken go on.
func TestCallsThatNeverEndAreBounded(t *testing.T) {
	_, addr := startHops(t, 0, false)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	header := block(":method", "POST", ":path", "/test.Echo/Say", "content-type", "application/grpc")
	out := addFrame([]byte(preface), kindSettings, 0, 0)
	out = addFrame(out, kindSettings, flagAck, 0)
	for n := range uint32(MaxStreams + 3) {
		out = addBlock(out, 2*n+1, 0, header)
	}
	if _, err := c.Write(out); err != nil {
		t.Fatal(err)
	}
	r := http2.NewFramer(nil, c)
	r.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for refused := 0; refused < 3; {
		f, err := r.ReadFrame()
		if err != nil {
			t.Fatal(refused, err)
		}
		if reset, ok := f.(*http2.RSTStreamFrame); ok && reset.ErrCode == errRefused {
			refused++
		}
	}
}

func TestTimeouts(t *testing.T) {
	for text, want := range map[string]time.Duration{"1S": time.Second, "99999999H": 0, "20m": 20 * time.Millisecond, "5n": 5} {
		if got, err := timeoutOf(text); err != nil || want > 0 && got != want || got <= 0 {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "S", "1", "1x", "123456789S", "-1S"} {
		if _, err := timeoutOf(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// Whatever bytes come, a connection ends in order.
func FuzzConn(f *testing.F) {
	header := block(":method", "POST", ":path", "/test.Echo/Say", "content-type", "application/grpc")
	f.Add(addFrame(addBlock(addFrame([]byte(preface), kindSettings, 0, 0), 1, 0, header), kindData, flagEndStream, 1, 0, 0, 0, 0, 0))
	s := NewServer()
	s.RegisterService(&echo, nil)
	f.Fuzz(func(_ *testing.T, bytes []byte) {
		h := &hop{Conn: fixed{strings.NewReader(string(bytes))}, every: 3, parking: make(chan struct{})}
		serveHops(s, h)
	})
}

// fixed is a connection that says what it says, and takes everything.
type fixed struct{ io.Reader }

func (fixed) Write(p []byte) (int, error)      { return len(p), nil }
func (fixed) Close() error                     { return nil }
func (fixed) LocalAddr() net.Addr              { return nil }
func (fixed) RemoteAddr() net.Addr             { return nil }
func (fixed) SetDeadline(time.Time) error      { return errors.ErrUnsupported }
func (fixed) SetReadDeadline(time.Time) error  { return errors.ErrUnsupported }
func (fixed) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }
