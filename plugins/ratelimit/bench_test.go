package main

import (
	"hash/maphash"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/theseusd/theseus/plugins/ratelimit/internal/limit"
	"github.com/theseusd/theseus/sdk/clock"
)

// benchKeys are those of all benchmarks, of this package and of its peers: a bucket of 10 that fills in a second.
var (
	benchKeys   = makeKeys(100_000)
	benchPolicy = limit.Policy{Limit: 10, Per: time.Second, Burst: 10}
)

func makeKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = "user:" + strconv.Itoa(i)
	}
	return keys
}

// openLimiter is a limiter over a log in a temporary folder, without a process around it.
func openLimiter(b *testing.B) *limiter {
	b.Helper()
	s := openStore(b, b.TempDir())
	l := newLimiter(newTables(s), nil)
	if _, err := s.Load(b.Context()); err != nil {
		b.Fatal(err)
	}
	if _, err := s.Activate(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	go func() { _ = s.Follow(b.Context()) }()
	return l
}

// A check as all fronts make it: decided, and in the log when it returns.
func BenchmarkCheckInTheLog(b *testing.B) {
	l := openLimiter(b)
	for n := 0; b.Loop(); n++ {
		if _, err := l.check([]ask{{rule{Policy: benchPolicy, name: throttled}, benchKeys[n*7919%len(benchKeys)], 1}}, false); err != nil {
			b.Fatal(err)
		}
	}
}

// shelves are 256 maps with a lock each: the same algorithm where nothing outlives the process, as libraries have it.
type shelves [256]struct {
	sync.Mutex
	rows map[string]*int64
}

func BenchmarkCheckInMemory(b *testing.B) {
	var all shelves
	for i := range all {
		all[i].rows = map[string]*int64{}
	}
	seed, clock := maphash.MakeSeed(), clock.New()
	for n := 0; b.Loop(); n++ {
		key := benchKeys[n*7919%len(benchKeys)]
		s := &all[uint8(maphash.String(seed, key))]
		s.Lock()
		at := s.rows[key]
		if at == nil {
			at = new(int64)
			s.rows[key] = at
		}
		now := clock.Now()
		if next, d := benchPolicy.Arrive(max(*at, now), now, 1); d.Allowed {
			*at = next
		}
		s.Unlock()
	}
}
