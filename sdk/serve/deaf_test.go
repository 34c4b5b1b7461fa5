package serve

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A client that asks for much and reads nothing keeps its request in hand. It cannot stretch a switch beyond its budget,
// nor fill the memory; the switch is called off, and works once the client reads or is gone.
func TestClientThatNeverReadsCostsNoMoreThanTheBudget(t *testing.T) {
	const size, budget = 256 << 20, 300 * time.Millisecond
	var written atomic.Int64
	chunk := make([]byte, 64<<10)
	ln := listenTCP(t)
	w := newTwo(t, func(g *Group, version string) {
		g.HTTP("http", twin(t, ln), &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/much" {
				_, _ = rw.Write([]byte(version))
				return
			}
			for n := 0; n < size; n += len(chunk) {
				if _, err := rw.Write(chunk); err != nil {
					return
				}
				written.Add(int64(len(chunk)))
			}
		})})
	})
	deaf := dial(t, ln.Addr())
	deaf.send(getRequest("/much"))
	eventually(t, "the answer to get stuck", func() bool { return written.Load() > 0 && isFull(w.Now) })
	began := time.Now()
	if err := w.Now.Park(context.Background(), budget); !errors.Is(err, ErrBusy) {
		t.Fatalf("%v, want %v", err, ErrBusy)
	}
	if took := time.Since(began); took > budget+10*time.Second { // the machine may do other things as well
		t.Errorf("the switch was called off after %s, the budget is %s", took, budget)
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 32<<20 {
		t.Errorf("%d MiB are in use for an answer that nobody reads", m.HeapAlloc>>20)
	}
	if got := dial(t, ln.Addr()).get("/"); got != "v1" {
		t.Errorf("%q answers, want v1", got)
	}
	deaf.nc.Close()
	w.Swap()
	if got := dial(t, ln.Addr()).get("/"); got != "v2" {
		t.Errorf("%q answers, want v2", got)
	}
}

// isFull says whether the socket of the only connection takes nothing more.
func isFull(g *Group) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	full := false
	for c := range g.live {
		_ = c.(gated).base().raw.Control(func(fd uintptr) {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 0)
			full = n == 0 && err == nil
		})
	}
	return full
}
