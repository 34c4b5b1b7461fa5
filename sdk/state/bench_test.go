package state

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// benchStore is a writer with a table of bytes, and Follow beside it.
func benchStore(b *testing.B, rows int) (*Store, *Table[[]byte], []string) {
	b.Helper()
	s, t := openBytes(b, b.TempDir(), Options{})
	activate(b, s)
	keep(b, s)
	keys := make([]string, rows)
	value := make([]byte, 100)
	for i := range keys {
		keys[i] = fmt.Sprintf("user:%011d", i)
		must(0, t.Put(keys[i], value))
	}
	return s, t, keys
}

func BenchmarkAppend(b *testing.B) {
	for _, rows := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			_, t, keys := benchStore(b, rows)
			value := make([]byte, 100)
			r := rand.New(rand.NewPCG(1, 2))
			for b.Loop() {
				if err := t.Put(keys[r.IntN(rows)], value); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendNew(b *testing.B) {
	_, t, _ := benchStore(b, 0)
	value, key, n := make([]byte, 100), make([]byte, 0, 32), 0
	for b.Loop() {
		key = fmt.Appendf(key[:0], "user:%011d", n)
		if err := t.Put(string(key), value); err != nil {
			b.Fatal(err)
		}
		n++
	}
}

func BenchmarkGet(b *testing.B) {
	for _, rows := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			_, t, keys := benchStore(b, rows)
			r := rand.New(rand.NewPCG(1, 2))
			for b.Loop() {
				if _, ok := t.Get(keys[r.IntN(rows)]); !ok {
					b.Fatal("a row is missing")
				}
			}
		})
	}
}

func BenchmarkGetParallel(b *testing.B) {
	_, t, keys := benchStore(b, 1_000_000)
	b.RunParallel(func(pb *testing.PB) {
		r := rand.New(rand.NewPCG(1, rand.Uint64()))
		for pb.Next() {
			if _, ok := t.Get(keys[r.IntN(len(keys))]); !ok {
				b.Error("a row is missing")
				return
			}
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	for _, rows := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			dir := b.TempDir()
			s, t := openBytes(b, dir, Options{})
			activate(b, s)
			fill(b, t, rows)
			must(0, s.Close())
			for b.Loop() {
				s, _ := openBytes(b, dir, Options{})
				if n, err := s.Load(context.Background()); err != nil || n != uint64(rows) {
					b.Fatal(n, err)
				}
				must(0, s.Close())
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}

func fill(tb testing.TB, t *Table[[]byte], rows int) {
	tb.Helper()
	value := make([]byte, 100)
	for i := range rows {
		must(0, t.Put(fmt.Sprintf("user:%011d", i), value))
	}
}

// BenchmarkNewSegment makes and removes a segment as each process keeps one ready.
func BenchmarkNewSegment(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		g := must(newSegment(dir, DefaultSegmentSize, [16]byte{}, allocate))
		must(0, errors.Join(g.unmap(), removeFile(g.path)))
	}
}

// BenchmarkActivate switches to and fro between two stores under 50,000 writes/s; the time must not grow with rows.
func BenchmarkActivate(b *testing.B) {
	for _, rows := range []int{1_000, 1_000_000, 4_000_000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) { benchActivate(b, rows) })
	}
}

func benchActivate(b *testing.B, rows int) {
	dir := b.TempDir()
	one, t := openBytes(b, dir, Options{})
	activate(b, one)
	fill(b, t, rows)
	two, u := openBytes(b, dir, Options{})
	must(two.Load(b.Context()))
	keep(b, one)
	keep(b, two)
	stores, tables := []*Store{one, two}, []*Table[[]byte]{t, u}
	var turn atomic.Int64
	stop := make(chan struct{})
	defer close(stop)
	go write(stop, func() *Table[[]byte] { return tables[turn.Load()] })
	var took []time.Duration
	var delta uint64
	for b.Loop() {
		next := 1 - turn.Load()
		b.StopTimer()
		awaitSpare(b, stores[next])
		b.StartTimer()
		began := time.Now()
		a, err := stores[next].Activate(context.Background(), nil)
		if err != nil {
			b.Fatal(err)
		}
		turn.Store(next)
		took, delta = append(took, time.Since(began)), delta+a.Delta
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "pause-p50-µs")
	b.ReportMetric(float64(took[len(took)*9/10].Nanoseconds())/1e3, "pause-p90-µs")
	b.ReportMetric(float64(delta)/float64(b.N), "delta-rows/op")
}

// write puts 50,000 rows a second, in bursts of 50.
func write(stop chan struct{}, table func() *Table[[]byte]) {
	value := make([]byte, 100)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n := 0; ; {
		select {
		case <-stop:
			return
		case <-tick.C:
			for range 50 {
				_ = table().Put(fmt.Sprintf("user:%011d", n%1000), value)
				n++
			}
		}
	}
}

// BenchmarkActivateSlowStep switches, under 50,000 writes/s, to a version whose Step takes 0, 6 or 60 µs a row: 0, 6 or
// 60 s for all. The pause must not know of it, because rows are converted when they are read.
func BenchmarkActivateSlowStep(b *testing.B) {
	for _, step := range []time.Duration{0, 6 * time.Microsecond, 60 * time.Microsecond} {
		b.Run(fmt.Sprintf("rows=1000000/step=%s", step), func(b *testing.B) { benchSlowStep(b, 1_000_000, step) })
	}
}

func benchSlowStep(b *testing.B, rows int, step time.Duration) {
	dir := b.TempDir()
	one, t := openBytes(b, dir, Options{})
	activate(b, one)
	fill(b, t, rows)
	two := open(b, dir, Options{})
	slow := func(_ string, v, _ []byte) ([]byte, error) {
		for began := time.Now(); time.Since(began) < step; {
			continue
		}
		return v, nil
	}
	u := NewTable(two, "kv", Schema[[]byte]{Name: "blob", Version: 2, Steps: []AnyStep{Step[[]byte, []byte]{
		From: 1, Up: slow, Down: func(_ string, v []byte) ([]byte, []byte, error) { return v, nil, nil },
	}}})
	must(two.Load(b.Context()))
	keep(b, one)
	keep(b, two)
	var newer atomic.Bool
	stop := make(chan struct{})
	defer close(stop)
	go write(stop, func() *Table[[]byte] {
		if newer.Load() {
			return u
		}
		return t
	})
	var took []time.Duration
	for b.Loop() {
		b.StopTimer()
		awaitSpare(b, two)
		b.StartTimer()
		began := time.Now()
		must(two.Activate(b.Context(), map[string]int32{"kv": 1}))
		took = append(took, time.Since(began))
		newer.Store(true)
		b.StopTimer()
		awaitSpare(b, one)
		must(one.Activate(b.Context(), nil)) // and back, which is not measured
		newer.Store(false)
		b.StartTimer()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "pause-p50-µs")
	b.ReportMetric(float64(took[len(took)*9/10].Nanoseconds())/1e3, "pause-p90-µs")
}
