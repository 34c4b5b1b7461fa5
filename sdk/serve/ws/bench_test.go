package ws

import (
	"fmt"
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// BenchmarkEcho is a message there and back, of clients that each wait for their answer.
func BenchmarkEcho(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint(n, "clients"), func(b *testing.B) { benchmarkEcho(b, n) })
	}
}

func benchmarkEcho(b *testing.B, n int) {
	s := newWall().server
	w := newTwo(b, s, s)
	left, ended := atomic.Int64{}, make(chan error, n)
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = dial(b, w.Addr)
	}
	said := text("hello, hello")
	left.Store(int64(b.N))
	began := processors()
	b.ResetTimer()
	for _, c := range clients {
		go func() {
			answer := make([]byte, len(ws.MustCompileFrame(ws.NewTextFrame([]byte("hello, hello")))))
			for left.Add(-1) >= 0 {
				if _, err := c.nc.Write([]byte(said)); err != nil {
					ended <- err
					return
				}
				if _, err := io.ReadFull(c.r, answer); err != nil {
					ended <- err
					return
				}
			}
			ended <- nil
		}()
	}
	for range clients {
		must(b, <-ended)
	}
	b.ReportMetric(float64((processors()-began).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// processors is the time that they have spent on this process.
func processors() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSwap is a handover of silent WebSockets and back.
func BenchmarkSwap(b *testing.B) {
	const clients = 5000
	s := newWall().server
	w := newTwo(b, s, s)
	for range clients {
		dial(b, w.Addr)
	}
	for b.Loop() {
		w.Swap()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/clients, "ns/connection")
}
