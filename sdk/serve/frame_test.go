package serve

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"pgregory.net/rapid"
)

// Whatever comes from the socket, the reader ends in frames that are sound, in "not yet", or in ErrProtocol.
func FuzzDecoder(f *testing.F) {
	f.Add(appendHello(nil, greeting{protocol, true}), 3)
	f.Add(appendArrivals(nil, []arrival{{1, "http"}, {2, "resp"}}), 1)
	f.Add(appendChunks(nil, kindUnread, 7, []byte("unread")), 2)
	f.Add([]byte{byte(kindEnd), 255, 255, 255, 255}, 1)
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		whole, werr := decodeAll(b, len(b))
		cut, cerr := decodeAll(b, max(1, step%8))
		if fmt.Sprint(whole, werr) != fmt.Sprint(cut, cerr) {
			t.Fatalf("whole %v %v, in pieces %v %v", whole, werr, cut, cerr)
		}
		if werr != nil && !errors.Is(werr, ErrProtocol) {
			t.Fatal(werr)
		}
	})
}

func decodeAll(b []byte, step int) (said []string, err error) {
	var d decoder
	for len(b) > 0 {
		n := min(step, len(b))
		d.feed(b[:n])
		b = b[n:]
		for {
			f, ok, err := d.next()
			if err != nil {
				return said, err
			}
			if !ok {
				break
			}
			s, err := understand(f)
			if err != nil {
				return said, err
			}
			said = append(said, s)
		}
	}
	return said, nil
}

func understand(f frame) (string, error) {
	switch f.kind {
	case kindHello:
		h, err := f.hello()
		return fmt.Sprint(h), err
	case kindAhead:
		as, err := f.arrivals()
		return fmt.Sprint(as), err
	case kindGone, kindSession, kindUnread, kindUnsent:
		id, rest, err := f.withID()
		return fmt.Sprint(id, rest), err
	}
	return fmt.Sprint(f.kind), nil
}

func TestFullBatchFitsIntoFrame(t *testing.T) {
	as := make([]arrival, maxBatch)
	for i := range as {
		as[i] = arrival{uint64(i), string(bytes.Repeat([]byte("n"), maxName))}
	}
	var d decoder
	d.feed(appendArrivals(nil, as))
	f, ok, err := d.next()
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if got, err := f.arrivals(); err != nil || len(got) != maxBatch || got[249] != as[249] {
		t.Fatal(len(got), err)
	}
}

// However a stream of requests arrives, and however much net/http asks for, the framer stops exactly at the ends that
// net/http sees.
func TestFramerAgreesWithNetHTTP(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		var ends []int
		for range rapid.IntRange(1, 5).Draw(t, "requests") {
			stream = append(stream, drawRequest(t)...)
			ends = append(ends, len(stream))
		}
		checkEnds(t, stream)
		var f framer
		at := 0
		for i, end := range ends {
			for at < end {
				b := stream[at:min(len(stream), at+rapid.IntRange(1, 200).Draw(t, "piece"))]
				_, n := f.pass(b)
				if n == 0 {
					t.Fatal("nothing passed")
				}
				at += n
			}
			if at != end || f.part != atEnd || f.lost {
				t.Fatalf("request %d: at %d, want %d, part %d, lost %v\n%q", i, at, end, f.part, f.lost, stream)
			}
			if at < len(stream) && rapid.Bool().Draw(t, "background read") {
				_, n := f.pass(stream[at : at+1])
				at += n
			}
			f.next()
		}
	})
}

func drawRequest(t *rapid.T) string {
	eol := rapid.SampledFrom([]string{"\r\n", "\n"}).Draw(t, "eol")
	head := rapid.SampledFrom([]string{"GET / HTTP/1.1", "POST /x HTTP/1.1", "PUT /y HTTP/1.1"}).Draw(t, "line") + eol + "Host: x" + eol
	if rapid.Bool().Draw(t, "more") {
		head += "Cookie: " + rapid.StringMatching(`[a-z=; ]{0,300}`).Draw(t, "cookie") + eol
	}
	body := rapid.StringMatching(`[a-z\r\n]{0,300}`).Draw(t, "body")
	switch rapid.IntRange(0, 2).Draw(t, "framing") {
	case 0:
		return head + eol
	case 1:
		name := rapid.SampledFrom([]string{"Content-Length", "content-length"}).Draw(t, "name")
		return head + name + ": " + fmt.Sprint(len(body)) + eol + eol + body
	}
	chunks := ""
	for len(body) > 0 {
		n := rapid.IntRange(1, len(body)).Draw(t, "chunk")
		ext := rapid.SampledFrom([]string{"", ";a=b", "; abc"}).Draw(t, "extension")
		chunks += fmt.Sprintf("%x%s\r\n%s\r\n", n, ext, body[:n])
		body = body[n:]
	}
	trailer := rapid.SampledFrom([]string{"", "X-Sum: 5\r\n"}).Draw(t, "trailer")
	return head + "Transfer-Encoding: chunked" + eol + eol + chunks + "0\r\n" + trailer + "\r\n"
}

// checkEnds makes sure that the test's own idea of requests is net/http's.
func checkEnds(t *rapid.T, stream []byte) {
	r := bufio.NewReader(bytes.NewReader(stream))
	for {
		req, err := http.ReadRequest(r)
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("%v in %q", err, stream)
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			t.Fatalf("%v in %q", err, stream)
		}
	}
}
