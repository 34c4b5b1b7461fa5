package otp

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func benchCounter() *Behaviour[int64] {
	b := &Behaviour[int64]{Name: "counter", Mailbox: Unbounded}
	OnCall(b, func(_ *Ctx, s *int64, m inc) (int64, error) { *s += m.By; return *s, nil })
	OnCast(b, func(_ *Ctx, s *int64, m add) error { *s += m.By; return nil })
	OnCast(b, func(_ *Ctx, _ *int64, m chan<- struct{}) error { close(m); return nil })
	OnCast(b, func(_ *Ctx, _ *int64, _ tick) error { panic("ouch") })
	return b
}

func BenchmarkCall(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			n := New(Options{})
			defer n.Close()
			pid, err := Start(n, benchCounter(), nil)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						if _, err := Call(n, pid, inc{By: 1}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

func BenchmarkCast(b *testing.B) {
	n := New(Options{})
	defer n.Close()
	pid, err := Start(n, benchCounter(), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = Cast(n, pid, add{1})
	}
	done := make(chan struct{})
	_ = Cast(n, pid, (chan<- struct{})(done))
	<-done
}

// BenchmarkIdle spawns a million processes, and reports what each takes and what a full collection with them does.
func BenchmarkIdle(b *testing.B) {
	const many = 1_000_000
	for b.Loop() {
		n := New(Options{})
		kind := benchCounter()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		began := time.Now()
		for range many {
			if _, err := Start(n, kind, nil); err != nil {
				b.Fatal(err)
			}
		}
		spawned := time.Since(began)
		began = time.Now()
		runtime.GC()
		collected := time.Since(began)
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/many, "B/process")
		b.ReportMetric(float64(spawned.Nanoseconds())/many, "ns/spawn")
		b.ReportMetric(float64(collected.Milliseconds()), "gc-ms")
		n.Close()
	}
}
