package serve

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
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
	stalled := int64(-1)
	eventually(t, "the answer to get stuck", func() bool {
		before := stalled
		stalled = written.Load()
		time.Sleep(20 * time.Millisecond)
		return stalled > 0 && stalled == before && stalled == written.Load()
	})
	began := time.Now()
	if err := w.now.Park(context.Background(), budget); !errors.Is(err, ErrBusy) {
		t.Fatalf("%v, want %v", err, ErrBusy)
	}
	if took := time.Since(began); took > 2*budget {
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
	w.swap()
	if got := dial(t, ln.Addr()).get("/"); got != "v2" {
		t.Errorf("%q answers, want v2", got)
	}
}
