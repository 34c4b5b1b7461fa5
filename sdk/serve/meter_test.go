package serve

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestMeterForgetsAfterAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m Meter
		for range 200 { // one a second, for more than three times around
			began := m.Now()
			time.Sleep(10 * time.Millisecond)
			m.Record(began, 2, 1)
			time.Sleep(990 * time.Millisecond)
		}
		if got := m.Traffic(); got.Requests != 118 || got.Failures != 59 {
			t.Errorf("a minute has %+v", got)
		}
		time.Sleep(30 * time.Second)
		if got := m.Traffic(); got.Requests != 58 {
			t.Errorf("half a minute later it has %+v", got)
		}
		time.Sleep(time.Hour)
		if got := m.Traffic(); got != (Traffic{}) {
			t.Errorf("an hour later it has %+v", got)
		}
	})
}

func TestP99IsAtMostAQuarterTooHigh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		for range 50 {
			var m Meter
			var all []time.Duration
			scale := time.Duration(rng.Int64N(int64(30*time.Second))) + 1
			for range 1 + rng.IntN(1000) {
				took := time.Duration(rng.Int64N(int64(scale)))
				m.Record(m.Now()-took, 1, 0)
				all = append(all, took)
			}
			slices.Sort(all)
			want := all[len(all)-len(all)/100-1]
			if got := m.Traffic().P99; got < want || got > want+want/4+2*time.Microsecond {
				t.Fatalf("p99 of %d up to %s is %s, want %s", len(all), scale, got, want)
			}
		}
	})
}

func TestMeterTakesAnyDuration(t *testing.T) {
	for b := range bucketCount - 1 {
		if got := bucket(limit(b) - 1); got != b {
			t.Errorf("the end of bucket %d is in bucket %d", b, got)
		}
		if got := bucket(limit(b)); got != b+1 {
			t.Errorf("what follows bucket %d is in bucket %d", b, got)
		}
	}
	for d, want := range map[time.Duration]int{-time.Hour: 0, 0: 0, 1000 * time.Hour: bucketCount - 1} {
		if got := bucket(d); got != want {
			t.Errorf("%s is in bucket %d, want %d", d, got, want)
		}
	}
}

func TestMeterLosesNothingAmongGoroutines(t *testing.T) {
	var m Meter
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 10_000 {
				m.Record(m.Now(), 1, i%2)
			}
		})
	}
	reader := make(chan struct{})
	go func() {
		defer close(reader)
		for range 100 {
			_ = m.Traffic()
		}
	}()
	wg.Wait()
	<-reader
	if got := m.Traffic(); got.Requests != 80_000 || got.Failures != 40_000 {
		t.Errorf("got %+v", got)
	}
}

// judged is an HTTP server whose handler does what the path says.
func judged(t *testing.T) (g *Group, addr net.Addr) {
	ln := listenTCP(t)
	g = NewGroup(Options{})
	g.HTTP("http", ln, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/404":
			w.WriteHeader(http.StatusNotFound)
		case "/500":
			w.WriteHeader(http.StatusEarlyHints)
			http.Error(w, "no", http.StatusInternalServerError)
		case "/panic":
			panic(http.ErrAbortHandler)
		case "/slow":
			time.Sleep(100 * time.Millisecond)
		case "/hijack":
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = c.Write([]byte("HTTP/1.1 500 mine\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
				_ = c.Close()
			}
		}
	})})
	must(t, g.Arm())
	t.Cleanup(func() { g.Hangup(); g.Unpair() })
	return g, ln.Addr()
}

func TestHTTPIsMetered(t *testing.T) {
	for path, want := range map[string]Traffic{
		"/": {1, 0, 0}, "/404": {1, 0, 0}, "/500": {1, 1, 0}, "/panic": {1, 1, 0}, "/hijack": {0, 0, 0},
		"/slow": {1, 0, 100 * time.Millisecond},
	} {
		g, addr := judged(t)
		res, err := http.Get("http://" + addr.String() + path)
		if (err != nil) != (path == "/panic") {
			t.Errorf("%s: %v", path, err)
		}
		if err == nil {
			_ = res.Body.Close()
		}
		got := g.Meter().Traffic()
		for deadline := time.Now().Add(10 * time.Second); got.Requests < want.Requests && time.Now().Before(deadline); got = g.Meter().Traffic() {
			time.Sleep(time.Millisecond) // the client may be faster than the end of the handler
		}
		if got.Requests != want.Requests || got.Failures != want.Failures || got.P99 < want.P99 {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
}

// The meter takes nothing from a handler that net/http gives.
func TestMeteredWriterCanDoWhatItWraps(t *testing.T) {
	ln := listenTCP(t)
	g := NewGroup(Options{})
	answer := make(chan error, 1)
	g.HTTP("http", ln, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_, reader := w.(io.ReaderFrom)
		_, texts := w.(io.StringWriter)
		_, flusher := w.(http.Flusher)
		_, pusher := w.(http.Pusher)
		err := errors.Join(rc.SetReadDeadline(time.Time{}), rc.SetWriteDeadline(time.Time{}), rc.EnableFullDuplex())
		if !reader || !texts || !flusher || pusher {
			err = errors.Join(err, errors.New("an ability is missing, or one is made up"))
		}
		_, werr := io.Copy(w, strings.NewReader("body"))
		answer <- errors.Join(err, werr, rc.Flush())
	})})
	must(t, g.Arm())
	t.Cleanup(func() { g.Hangup(); g.Unpair() })
	res, err := http.Get("http://" + ln.Addr().String())
	must(t, err)
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "body" {
		t.Errorf("got %q, %v", body, err)
	}
	must(t, <-answer)
}

func TestNoHandlerIsTheDefaultOne(t *testing.T) {
	var m Meter
	rec := httptest.NewRecorder()
	metered{m: &m}.ServeHTTP(rec, httptest.NewRequestWithContext(context.Background(), "GET", "/nowhere", nil))
	if rec.Code != http.StatusNotFound || m.Traffic().Requests != 1 {
		t.Errorf("got %d, %+v", rec.Code, m.Traffic())
	}
}

func BenchmarkMeter(b *testing.B) {
	b.Run("record", func(b *testing.B) {
		var m Meter
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				m.Record(m.Now(), 1, 0)
			}
		})
	})
	b.Run("traffic", func(b *testing.B) {
		var m Meter
		m.Record(m.Now(), 1, 0)
		for b.Loop() {
			_ = m.Traffic()
		}
	})
	for name, h := range map[string]func(h http.Handler) http.Handler{
		"handler/bare":    func(h http.Handler) http.Handler { return h },
		"handler/metered": func(h http.Handler) http.Handler { return metered{m: new(Meter), h: h} },
	} {
		b.Run(name, func(b *testing.B) {
			handler := h(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
			r := httptest.NewRequestWithContext(context.Background(), "GET", "/", nil)
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				handler.ServeHTTP(w, r)
			}
		})
	}
}
