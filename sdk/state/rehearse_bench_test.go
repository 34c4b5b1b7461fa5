package state

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// cpu is the user time of this process so far, the garbage collector's share included: on a busy machine it says more
// than a clock.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	must(0, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano())
}

// renamed is a step by hand that keeps no rest.
var renamed = Step[visitV1, visitV2]{
	From: 1,
	Up: func(_ string, old visitV1, _ []byte) (visitV2, error) {
		return visitV2{User: old.User, Count: old.Count}, nil
	},
	Down: func(_ string, v visitV2) (visitV1, []byte, error) {
		return visitV1{User: v.User, Count: v.Count}, nil, nil
	},
}

// BenchmarkRehearse takes rows up, checks them and takes them down and up again: by Add, by a Step that keeps no rest,
// and from version 1 to 3 by an Add and a Step that does.
func BenchmarkRehearse(b *testing.B) {
	b.Run("steps=add", func(b *testing.B) { benchRehearse(b, schemaV2) })
	b.Run("steps=step", func(b *testing.B) {
		benchRehearse(b, Schema[visitV2]{Name: "visit", Version: 2, Steps: []AnyStep{renamed}})
	})
	b.Run("steps=add,step", func(b *testing.B) { benchRehearse(b, schemaV3) })
}

func benchRehearse[V any](b *testing.B, schema Schema[V]) {
	const rows = 100_000
	dir := b.TempDir()
	old := open(b, dir, Options{})
	visits := NewTable(old, "visits", schemaV1)
	activate(b, old)
	for i := range rows {
		must(0, visits.Put(fmt.Sprintf("user:%011d", i), visitV1{User: "ada", Count: int64(i)}))
	}
	s := open(b, dir, Options{})
	NewTable(s, "visits", schema)
	must(s.Load(b.Context()))
	b.ReportAllocs()
	began := cpu(b)
	for b.Loop() {
		must(s.Rehearse(b.Context(), nil))
	}
	b.ReportMetric(float64(cpu(b)-began)/float64(b.N)/rows, "cpu-ns/row")
}

// BenchmarkLookup reads rows of version 2, and rows of version 1 that are converted as they are read.
func BenchmarkLookup(b *testing.B) {
	b.Run("own", func(b *testing.B) {
		benchLookup(b, schemaV2, func(i int) visitV2 { return visitV2{User: "ada", Count: int64(i)} })
	})
	b.Run("converted", func(b *testing.B) {
		benchLookup(b, schemaV1, func(i int) visitV1 { return visitV1{User: "ada", Count: int64(i)} })
	})
}

func benchLookup[V any](b *testing.B, written Schema[V], row func(i int) V) {
	const rows = 1000
	dir := b.TempDir()
	old := open(b, dir, Options{})
	before := NewTable(old, "visits", written)
	activate(b, old)
	keys := make([]string, rows)
	for i := range keys {
		keys[i] = fmt.Sprintf("user:%011d", i)
		must(0, before.Put(keys[i], row(i)))
	}
	s := open(b, dir, Options{})
	visits := NewTable(s, "visits", schemaV2)
	must(s.Load(b.Context()))
	b.ReportAllocs()
	began, n := cpu(b), 0
	for b.Loop() {
		if v, ok := visits.Get(keys[n%rows]); !ok || v.Count != int64(n%rows) {
			b.Fatal("a row is missing")
		}
		n++
	}
	b.ReportMetric(float64(cpu(b)-began)/float64(n), "cpu-ns/row")
}
