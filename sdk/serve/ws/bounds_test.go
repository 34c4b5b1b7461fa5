package ws

import (
	"bytes"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/theseusd/theseus/sdk/serve"
	"github.com/theseusd/theseus/sdk/serve/internal/servetest"
	"github.com/theseusd/theseus/sdk/serve/ws/wstest"
)

// Each further fragment of a message cost as much as all of it that was there: a client with a few bytes a second had the
// service copy gigabytes.
func TestAFragmentCostsNoMoreThanItself(t *testing.T) {
	const size, fragments = 60 << 10, 3000
	s := newWall().server
	s.MaxMessage = 64 << 10
	w := newTwo(t, s, s)
	c := dial(t, w.Addr)
	c.send(frame(ws.OpBinary, false, strings.Repeat("x", size)))
	alive := frame(ws.OpPing, true, "")
	c.send(alive)
	c.expect(ws.OpPong, "")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range fragments {
		c.send(frame(ws.OpContinuation, false, "") + alive) // the answer tells that it was read for itself
		c.expect(ws.OpPong, "")
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / fragments; n > size/4 {
		t.Errorf("a fragment without bytes costs %d bytes", n)
	}
	w.Swap()
	c.send(frame(ws.OpContinuation, true, "y"))
	c.expect(ws.OpBinary, strings.Repeat("x", size)+"y")
}

// A reason was cut in the middle of a letter, and clients took the close frame for a broken one.
func TestLongReasonsAreCutBetweenLetters(t *testing.T) {
	for _, reason := range []string{strings.Repeat("é", 100), "e" + strings.Repeat("é", 100), strings.Repeat("x", 200), "short"} {
		_, payload, _ := bytes.Cut(closeFrame(4000, reason), []byte{4000 >> 8, 4000 & 0xff})
		if !utf8.Valid(payload) || !strings.HasPrefix(reason, string(payload)) || len(payload) < min(len(reason), maxReason-1) || len(payload) > maxReason {
			t.Errorf("%d bytes: %q", len(payload), payload)
		}
	}
}

// A client that does not read gets a bounded queue, its close frame in the end, and holds up nobody.
func TestASlowClient(t *testing.T) {
	here := newWall()
	w := newTwo(t, here.server, newWall().server)
	slow, quick := dial(t, w.Addr), dial(t, w.Addr)
	must(t, slow.nc.(*net.TCPConn).SetReadBuffer(4096))
	slow.send(text("fill"))
	filled := servetest.Next(t, here.filled)
	began := time.Now()
	if filled.err != serve.ErrSlow || filled.n > 32<<10 {
		t.Errorf("%d messages were taken, then: %v", filled.n, filled.err)
	}
	quick.send(text("hello"))
	quick.expect(ws.OpText, "hello")
	w.Swap()
	quick.send(text("hello"))
	quick.expect(ws.OpText, "hello")
	for i := 0; ; i++ {
		f, err := wstest.ReadFrame(slow.r)
		switch {
		case err != nil && time.Since(began) > CloseLimit:
			return // it was too slow for its close frame as well
		case err != nil:
			t.Fatalf("after %d messages of %d: %v", i, filled.n, err)
		case f.Header.OpCode == ws.OpClose:
			if code, _ := ws.ParseCloseFrameData(f.Payload); code != 3008 || i != filled.n {
				t.Errorf("after %d messages of %d it is closed with %d", i, filled.n, code)
			}
			return
		}
	}
}

// Clients too many are refused, and a switch neither refuses nor forgets anybody.
func TestConnectionsAreBounded(t *testing.T) {
	s := newWall().server
	s.MaxConns = 2
	w := newTwo(t, s, s)
	status := func() int {
		t.Helper()
		c := connect(t, w.Addr)
		c.send(upgrade(""))
		resp, err := http.ReadResponse(c.r, nil)
		must(t, err)
		return resp.StatusCode
	}
	first, second := dial(t, w.Addr), dial(t, w.Addr)
	for range 3 {
		if got := status(); got != http.StatusServiceUnavailable {
			t.Errorf("the third one is answered with %d", got)
		}
		w.Swap()
		second.send(text("still here"))
		second.expect(ws.OpText, "still here")
	}
	first.send(frame(ws.OpClose, true, ""))
	first.frame()
	if _, err := first.r.ReadByte(); err == nil {
		t.Fatal("it is still connected")
	}
	for got := 0; got != http.StatusSwitchingProtocols; { // until the first one is said to have left
		if got = status(); got != http.StatusSwitchingProtocols && got != http.StatusServiceUnavailable {
			t.Fatal(got)
		}
	}
}
