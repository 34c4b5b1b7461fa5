package serve

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Clients come, ask, leave, leave in the middle, and come again, while the service changes hands all the time; a
// connection may end only by its client.
func TestComingAndGoing(t *testing.T) {
	ln, lines1 := listenTCP(t), listenTCP(t)
	w := newTwo(t, func(g *Group, version string) {
		g.HTTP("http", twin(t, ln), &http.Server{Handler: echo(version)})
		g.Stream("lines", twin(t, lines1), lines(version))
	})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var asked atomic.Int64
	for id := range 40 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(id)))
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := visit(r, ln.Addr(), lines1.Addr(), &asked); err != nil {
					t.Errorf("client %d: %v", id, err)
					return
				}
			}
		})
	}
	for range 60 {
		w.Swap()
		time.Sleep(3 * time.Millisecond)
		if rand.IntN(5) == 0 {
			must(t, w.Now.Park(context.Background(), 5*time.Second))
			must(t, w.Now.Unpark())
		}
	}
	close(stop)
	wg.Wait()
	t.Logf("%d requests", asked.Load())
	eventually(t, "all connections forgotten", func() bool {
		s, a := w.Now.Connections()
		n, b := w.Next.Connections()
		return s+a+n+b == 0
	})
}

// visit is one client's life.
func visit(r *rand.Rand, web, lines net.Addr, asked *atomic.Int64) error {
	addr, request, response := web, postRequest("/x", "body"), "HTTP/1.1 200 OK\r\n"
	if r.IntN(2) == 0 {
		addr, request, response = lines, "hello\n", ""
	}
	nc, err := net.Dial("tcp", addr.String())
	if err != nil {
		return err
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	br := bufio.NewReader(nc)
	for range r.IntN(10) {
		cut := r.IntN(len(request))
		if _, err := io.WriteString(nc, request[:cut]); err != nil {
			return err
		}
		if r.IntN(20) == 0 {
			return nil // in the middle
		}
		if r.IntN(2) == 0 {
			time.Sleep(time.Duration(r.IntN(1000)) * time.Microsecond)
		}
		if _, err := io.WriteString(nc, request[cut:]); err != nil {
			return err
		}
		if err := checkAnswer(br, response); err != nil {
			return err
		}
		asked.Add(1)
	}
	return nil
}

func checkAnswer(br *bufio.Reader, http11 string) error {
	if http11 == "" {
		line, err := br.ReadString('\n')
		if err == nil && line != "v1 hello\n" && line != "v2 hello\n" {
			err = fmt.Errorf("answer %q", line)
		}
		return err
	}
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		return err
	}
	b, err := io.ReadAll(resp.Body)
	if err == nil && string(b) != "POST /x body" {
		err = fmt.Errorf("answer %q", b)
	}
	return err
}

// crowd is n idle connections from several addresses, so that ports do not run out.
func crowd(t testing.TB, addr net.Addr, n int) []net.Conn {
	t.Helper()
	conns := make([]net.Conn, 0, n)
	for i := range n {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%8))}}
		nc, err := d.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, nc)
	}
	t.Cleanup(func() {
		for _, nc := range conns {
			nc.Close()
		}
	})
	return conns
}

// raiseLimit allows n descriptors, or skips the test.
func raiseLimit(t testing.TB, n uint64) {
	t.Helper()
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil || l.Max < n {
		t.Skipf("at most %d descriptors here, want %d", l.Max, n)
	}
	l.Cur = l.Max
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &l))
}

// echoLines holds nothing between reads, so it need not be woken for a handover.
func echoLines(c *Conn) {
	buf := make([]byte, 64)
	for have := 0; have < len(buf); {
		n, err := c.ReadMore(buf[:have], buf[have:])
		if err != nil {
			return
		}
		if have += n; buf[have-1] == '\n' {
			_, _ = c.Write(buf[:have])
			have = 0
		}
	}
}

func sayAll(t testing.TB, conns []net.Conn) {
	t.Helper()
	for _, nc := range conns {
		_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.WriteString(nc, "hello\n"); err != nil {
			t.Fatal(err)
		}
	}
	var b [6]byte
	for i, nc := range conns {
		if _, err := io.ReadFull(nc, b[:]); err != nil || string(b[:]) != "hello\n" {
			t.Fatalf("connection %d: %q, %v", i, b, err)
		}
	}
}

// The pause, from Park to the end of Arm. Connections that have been silent since they came cost nothing; those that
// spoke are served by goroutines, which are stopped one by one, without being woken.
func BenchmarkSwap(b *testing.B) {
	for _, n := range []int{1, 100, 1000, 4000} {
		b.Run(fmt.Sprintf("silent=%d", n), func(b *testing.B) { benchmarkSwap(b, n, func([]net.Conn) {}) })
		b.Run(fmt.Sprintf("spoke=%d", n), func(b *testing.B) { benchmarkSwap(b, n, func(cs []net.Conn) { sayAll(b, cs) }) })
	}
}

func benchmarkSwap(b *testing.B, n int, between func([]net.Conn)) {
	raiseLimit(b, uint64(4*n+200))
	ln := listenTCP(b)
	w := newTwo(b, func(g *Group, version string) { g.Stream("lines", twin(b, ln), echoLines) })
	conns := crowd(b, ln.Addr(), n)
	sayAll(b, conns)
	w.Swap()
	var all []time.Duration
	for b.Loop() {
		between(conns)
		w.Next.waitLeaving()
		began := time.Now()
		w.Swap()
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "pause-µs/op")
}

func TestPairIsRefused(t *testing.T) {
	a, b := NewGroup(Options{}), NewGroup(Options{Limit: 100 * time.Millisecond})
	must(t, a.Arm())
	must(t, b.Arm())
	path := filepath.Join(t.TempDir(), "pair")
	must(t, a.Pair(t.Context(), path, true))
	if err := b.Pair(t.Context(), path, false); err == nil {
		t.Fatal("two processes that serve were paired")
	}
	if err := b.Pair(t.Context(), path+"-nobody", false); err == nil {
		t.Fatal("paired with nobody")
	}
}

// On a machine with much to do a greeting may take longer than a switch may.
func TestPairsGreetHoweverShortAHandoverMayBe(t *testing.T) {
	a, b := NewGroup(Options{Limit: time.Nanosecond}), NewGroup(Options{Limit: time.Nanosecond})
	must(t, a.Arm())
	join(t, a, b)
}

func TestAPeerThatDoesNotGreetHoldsUpNobody(t *testing.T) {
	g := NewGroup(patient)
	must(t, g.Arm())
	path := filepath.Join(t.TempDir(), "pair")
	must(t, g.Pair(t.Context(), path, true))
	mute, err := net.Dial("unix", path)
	must(t, err)
	defer mute.Close()
	done := make(chan error, 1)
	go func() { done <- parkOften(t.Context(), g) }()
	select {
	case err := <-done:
		must(t, err)
	case <-time.After(joinLimit / 2):
		t.Fatal("the group waits for a greeting")
	}
}

// parkOften parks often enough for a peer to come in between.
func parkOften(ctx context.Context, g *Group) error {
	for range 100 {
		if err := errors.Join(g.Park(ctx, time.Second), g.Arm()); err != nil {
			return err
		}
	}
	return nil
}
