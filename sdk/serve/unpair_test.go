package serve

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A switch without a probation is over at once: the pair is left, by either side first, while the goroutines that have
// handed their sockets over still stand there. Clients that come, ask and leave all the time see nothing of it.
func TestPairIsLeftRightAfterTheSwitch(t *testing.T) {
	const clients, swaps = 8, 60
	ln := listenTCP(t)
	group := func(version int) *Group {
		g := NewGroup(Options{})
		g.HTTP("http", twin(t, ln), &http.Server{Handler: echo(strconv.Itoa(version))})
		return g
	}
	now := group(0)
	must(t, now.Arm())
	var over atomic.Bool
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for !over.Load() {
				if err := askOften(ln.Addr().String(), 20, &over); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range swaps {
		next, path := group(i+1), filepath.Join(t.TempDir(), "pair")
		must(t, now.Pair(t.Context(), path, true))
		must(t, next.Pair(t.Context(), path, false))
		must(t, now.Park(t.Context(), 10*time.Second))
		_, err := now.Finish()
		must(t, err)
		must(t, next.Await(t.Context()))
		must(t, next.Arm())
		leave := []*Group{now, next}
		leave[i%2].Unpair()
		leave[1-i%2].Unpair()
		now = next
	}
	over.Store(true)
	all.Wait()
	now.Hangup()
}

// Whoever has left a pair can be given nothing, however soon after it: its connections would be nobody's.
func TestNothingIsGivenToWhoHasLeft(t *testing.T) {
	ln := listenTCP(t)
	now, next := NewGroup(Options{}), NewGroup(Options{})
	for _, g := range []*Group{now, next} {
		g.HTTP("http", twin(t, ln), &http.Server{Handler: echo("kept")})
	}
	must(t, now.Arm())
	nc, err := net.Dial("tcp", ln.Addr().String())
	must(t, err)
	defer nc.Close()
	r := bufio.NewReader(nc)
	for i := range 200 {
		path := filepath.Join(t.TempDir(), "pair")
		must(t, next.Pair(t.Context(), path, true))
		must(t, now.Pair(t.Context(), path, false))
		must(t, now.Park(t.Context(), 10*time.Second))
		next.Unpair()
		if _, err := now.Finish(); err == nil {
			t.Fatalf("round %d: handed over to nobody", i)
		}
		must(t, now.Arm())
		_, err := io.WriteString(nc, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		must(t, err)
		resp, err := http.ReadResponse(r, nil)
		must(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		must(t, err)
	}
	now.Hangup()
}

// askOften makes some requests over one connection.
func askOften(addr string, requests int, over *atomic.Bool) error {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(nc)
	for range requests {
		if over.Load() {
			return nil
		}
		if _, err := io.WriteString(nc, postRequest("/version", "hello")); err != nil {
			return err
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		if _, err := io.ReadAll(resp.Body); err != nil {
			return err
		}
	}
	return nil
}
