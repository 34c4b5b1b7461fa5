package serve

import (
	"net/http"
	"strings"
	"testing"
)

func echoes(version string) http.Handler { return echo(version) }

func TestConnectionOutlivesManySwaps(t *testing.T) {
	w, addr := httpTwo(t, echoes)
	c := dial(t, addr)
	for i := range 20 {
		want := "v1"
		if i%2 == 1 {
			want = "v2"
		}
		if got := c.get("/version"); got != want {
			t.Fatalf("swap %d: answered by %s, want %s", i, got, want)
		}
		w.Swap()
	}
}

// A stream of pipelined requests is cut at every offset; the swap comes in between.
func TestSwapAtEveryOffset(t *testing.T) {
	stream := getRequest("/a") + postRequest("/b", "body of b") + getRequest("/c") +
		"POST /d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + getRequest("/e")
	want := []string{"GET /a ", "POST /b body of b", "GET /c ", "POST /d hello", "GET /e "}
	w, addr := httpTwo(t, echoes)
	for cut := range len(stream) + 1 {
		c := dial(t, addr)
		c.send(stream[:cut])
		done := make(chan struct{})
		if inHand(stream, cut) { // a body in hand must come for the park to end
			go func() { defer close(done); w.Swap() }()
			c.send(stream[cut:])
			<-done
		} else {
			w.Swap()
			c.send(stream[cut:])
		}
		for i, s := range want {
			if got := c.response(); got != s {
				t.Fatalf("cut at %d: answer %d is %q, want %q", cut, i, got, s)
			}
		}
		c.nc.Close()
	}
}

// inHand says whether the first n bytes end within a request's body.
func inHand(stream string, n int) bool {
	for _, p := range []string{"/b", "/d"} {
		at := strings.Index(stream, "POST "+p)
		end := at + strings.Index(stream[at:], "\r\n\r\n") + 4
		if n >= end && n < strings.Index(stream, map[string]string{"/b": "GET /c", "/d": "GET /e"}[p]) {
			return true
		}
	}
	return false
}
