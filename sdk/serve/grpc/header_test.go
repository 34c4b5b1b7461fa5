package grpc

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"
	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// What handlers and clients say beside their messages arrives, and travels to another version.
func TestMetadataBothWays(t *testing.T) {
	for _, every := range []int{0, 2} {
		cc, _ := startHops(t, every, false)
		call := func(in string) (string, metadata.MD, metadata.MD, error) {
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			ctx = metadata.AppendToOutgoingContext(ctx, "x-bin", "\x00\x01\xff", "x-bin", "")
			var out wrapperspb.StringValue
			var header, trailer metadata.MD
			err := cc.Invoke(ctx, "/test.Echo/Say", wrapperspb.String(in), &out, gogrpc.Header(&header), gogrpc.Trailer(&trailer))
			return out.Value, header, trailer, err
		}
		if got, _, _, err := call("bytes"); err != nil || got != "[0001ff ]" {
			t.Errorf("bytes came as %q, %v", got, err)
		}
		if got, _, _, err := call("peer"); err != nil || got != "tcp/test.Echo/Say" {
			t.Errorf("got %q, %v", got, err)
		}
		for in, code := range map[string]codes.Code{"answer": codes.OK, "details": codes.NotFound} {
			_, header, trailer, err := call(in)
			if status.Code(err) != code || header.Get("x-head")[0] != "h" || trailer.Get("x-tail-bin")[0] != "\x00\xff" || len(trailer.Get("x-tail")[0]) != 40_000 {
				t.Errorf("%s: %v, %v, %.200v", in, err, header, trailer)
			}
			if code == codes.NotFound && (len(status.Convert(err).Details()) != 1 || status.Convert(err).Message() != "with details") {
				t.Errorf("%v has lost its details", err)
			}
		}
	}
}

// conversing is a connection that has used what its client has sent.
func conversing(t *testing.T, sent []byte) *conn {
	t.Helper()
	s := NewServer()
	s.RegisterService(&echo, nil)
	c := newConn(s, &hop{Conn: fixed{strings.NewReader("")}, parking: make(chan struct{})})
	c.buf = append(addFrame([]byte(preface), kindSettings, 0, 0), sent...)
	if err := c.frames(); err != nil {
		t.Fatal(err)
	}
	return c
}

var sayHeader = block(":method", "POST", ":path", "/test.Echo/Say", "content-type", "application/grpc")

// A few bytes could stand for headers without end: each one of a table's longest field, and all that for each call.
func TestHeadersAreBoundedAsTheyAreRead(t *testing.T) {
	var long bytes.Buffer
	e := hpack.NewEncoder(&long)
	if err := e.WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("v", 4000)}); err != nil {
		t.Fatal(err)
	}
	blown := append(append(bytes.Clone(sayHeader), long.Bytes()...), bytes.Repeat([]byte{0x80 | 62}, 10_000)...)
	var sent []byte
	for id := uint32(1); id < 100; id += 2 {
		sent = addBlock(sent, id, 0, blown)
		sent = addFrame(sent, kindSettings, flagAck, 0)
	}
	c := conversing(t, sent)
	if n := len(c.memory.encode(nil)); n > 1000 {
		t.Errorf("the next version has to read %d bytes", n)
	}
	for id := uint32(101); id < 601; id += 2 { // what is allowed is too much for all of them
		c.buf = addBlock(c.buf, id, 0, append(bytes.Clone(sayHeader), block("x", strings.Repeat("v", 60_000))...))
	}
	if err := c.frames(); err != nil {
		t.Fatal(err)
	}
	if n := len(c.memory.encode(nil)); n < maxBuffered/2 || n > 2*maxBuffered {
		t.Errorf("the next version has to read %d bytes", n)
	}
	for id := range c.Streams {
		c.forget(id)
	}
	if c.buffered != 0 {
		t.Errorf("%d bytes of nothing", c.buffered)
	}
}

// A header that is no text cost a connection its upgrade.
func TestHeadersThatAreNoTextTravel(t *testing.T) {
	c := conversing(t, addBlock(nil, 1, 0, append(bytes.Clone(sayHeader), block("x", "\xff\xfe", "y-bin", "!")...)))
	m := newMemory()
	if _, err := m.decode(c.memory.encode(nil)); err != nil {
		t.Fatal(err)
	}
	if got := m.Streams[1].Rest["x"]; len(got) != 1 || got[0] != "\xff\xfe" {
		t.Errorf("%q arrived", got)
	}
	if _, err := (headers{rest: m.Streams[1].Rest}).metadata(); status.Code(err) != codes.Internal {
		t.Errorf("what is no base64 is %v", err)
	}
}
