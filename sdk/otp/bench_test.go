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

// waysToCall one process.
var waysToCall = []wayToCall{{1, false}, {64, false}, {1, true}, {64, true}}

type wayToCall struct {
	callers int
	inline  bool
}

func (w wayToCall) name() string { return fmt.Sprintf("callers=%d,inline=%t", w.callers, w.inline) }

func (w wayToCall) call(b *testing.B, n *Node, pid PID, count int) {
	var left atomic.Int64
	left.Store(int64(count))
	var wg sync.WaitGroup
	for range w.callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := Call(n, pid, inc{By: 1}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkCall(b *testing.B) {
	for _, way := range waysToCall {
		b.Run(way.name(), func(b *testing.B) {
			n, pid := benchNode(b, way.inline)
			b.ReportAllocs()
			b.ResetTimer()
			way.call(b, n, pid, b.N)
		})
	}
}

// BenchmarkCallMany calls one process after another.
func BenchmarkCallMany(b *testing.B) {
	n := New(Options{})
	defer n.Close()
	kind := benchCounter()
	list := make([]PID, 1000)
	for i := range list {
		list[i], _ = Start(n, kind, nil)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := Call(n, list[i%len(list)], inc{By: 1}); err != nil {
			b.Error(err)
		}
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

// BenchmarkTable uses a table of a million rows; cpu-ns is processors' time, since machines are shared.
func BenchmarkTable(b *testing.B) {
	t := NewTable[int, row](etsRows)
	for i := range etsRows {
		t.Put(i, row{N: int64(i)})
	}
	for _, c := range []struct {
		name string
		op   func(i int)
	}{
		{"lookup", func(i int) { _, _ = t.Get(etsKey(i)) }},
		{"insert", func(i int) { t.Put(etsKey(i), row{N: int64(i)}) }},
		{"counter", func(i int) { t.Update(etsKey(i), func(r *row) { r.N++ }) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			used := processors()
			for i := range b.N {
				c.op(i)
			}
			b.ReportMetric(float64(processors()-used)/float64(b.N), "cpu-ns/op")
		})
	}
}
