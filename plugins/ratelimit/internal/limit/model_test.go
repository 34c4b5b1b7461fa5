package limit

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A model says the same in another way: it remembers every call, and adds up.
type model interface {
	remaining(now int64) int64
	take(now, cost int64)
	refund(now, cost int64)
}

// bucket is a bucket of time: it fills by one nanosecond each, a unit takes an interval out of it.
type bucket struct {
	p       Policy
	empty   int64 // what is missing
	changed int64
}

func (b *bucket) fill(now int64) {
	b.empty = max(b.empty-(now-b.changed), 0)
	b.changed = now
}

func (b *bucket) remaining(now int64) int64 {
	b.fill(now)
	each := int64(b.p.Per) / b.p.Limit
	return (each*b.p.Burst - b.empty) / each
}

func (b *bucket) take(now, cost int64) {
	b.fill(now)
	b.empty += cost * (int64(b.p.Per) / b.p.Limit)
}

func (b *bucket) refund(now, cost int64) {
	b.fill(now)
	b.empty = max(b.empty-cost*(int64(b.p.Per)/b.p.Limit), 0)
}

// diary is what was used, by period.
type diary struct {
	p        Policy
	used     map[int64]int64
	weighted bool // what lies in the period before counts in part
}

func (d *diary) remaining(now int64) int64 {
	per := int64(d.p.Per)
	used := d.used[now/per]
	if before := d.used[now/per-1]; d.weighted && before > 0 {
		part := before * (per - now%per)
		used += (part + per - 1) / per
	}
	return max(d.p.Limit-used, 0)
}

func (d *diary) take(now, cost int64) { d.used[now/int64(d.p.Per)] += cost }

func (d *diary) refund(now, cost int64) {
	at := now / int64(d.p.Per)
	here := min(cost, d.used[at])
	d.used[at] -= here
	if d.weighted {
		d.used[at-1] = max(d.used[at-1]-(cost-here), 0)
	}
}

func drawPolicy(t *rapid.T) (Policy, model) {
	p := Policy{Limit: rapid.Int64Range(1, 50).Draw(t, "limit"), Per: time.Duration(rapid.Int64Range(1, 90).Draw(t, "per")) * time.Second}
	switch p.Algorithm = Algorithm(rapid.IntRange(0, 2).Draw(t, "algorithm")); p.Algorithm {
	case SlidingWindow, Quota:
		return p, &diary{p, map[int64]int64{}, p.Algorithm == SlidingWindow}
	}
	p.Burst = rapid.Int64Range(1, 60).Draw(t, "burst")
	return p, &bucket{p: p, changed: start}
}

const start = int64(1_700_000_000_000_000_000)

// shelf is a table with one row, which is gone when it expires.
type shelf struct {
	row   []byte
	until int64
}

func (s *shelf) at(now int64) []byte {
	if now >= s.until {
		return nil
	}
	return s.row
}

// Whatever calls come, at whatever times, an algorithm allows what its model does; that a row is forgotten when it may be
// changes nothing, and a call that waits for as long as it is told is allowed.
func TestAlgorithmsAgreeWithTheirModels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, m := drawPolicy(t)
		if err := p.Check(); err != nil {
			t.Fatal(err)
		}
		now, s := start, shelf{}
		for range rapid.IntRange(1, 60).Draw(t, "calls") {
			now += rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, int64(p.Per)/4+1), rapid.Int64Range(0, int64(3*p.Per))).Draw(t, "passed")
			cost := rapid.Int64Range(0, p.Capacity()+2).Draw(t, "cost")
			if rapid.IntRange(0, 9).Draw(t, "refund") == 0 {
				next, until, err := p.Refund(nil, s.at(now), now, cost)
				if err != nil {
					t.Fatal(err)
				}
				s = shelf{next, until}
				m.refund(now, cost)
				continue
			}
			had := m.remaining(now)
			next, until, d, err := p.Take(nil, s.at(now), now, cost, 1)
			if err != nil || d.Allowed != (cost <= had || cost == 0) {
				t.Fatalf("%v at %d: had %d, asked %d, got %+v %v", p, now, had, cost, d, err)
			}
			if d.Allowed {
				s = shelf{next, until}
				m.take(now, cost)
			} else {
				checkRetry(t, p, s, now, cost, d)
			}
			if left := m.remaining(now); d.Remaining != left {
				t.Fatalf("%v at %d: %d left, the model has %d", p, now, d.Remaining, left)
			}
			checkReset(t, p, s, now, d)
		}
	})
}

func checkRetry(t *rapid.T, p Policy, s shelf, now, cost int64, d Decision) {
	if cost > p.Capacity() {
		if d.Retry != Never {
			t.Fatalf("%d of %d will be allowed in %v", cost, p.Capacity(), d.Retry)
		}
		return
	}
	then := now + int64(d.Retry)
	if _, _, again, _ := p.Take(nil, s.at(then), then, cost, 1); !again.Allowed || d.Retry <= 0 {
		t.Fatalf("%v: told to wait %v for %d, then %+v", p, d.Retry, cost, again)
	}
	if p.Algorithm == SlidingWindow {
		return // rounding up the part that counts may make it a moment too long
	}
	if _, _, early, _ := p.Take(nil, s.at(then-1), then-1, cost, 1); early.Allowed {
		t.Fatalf("%v: told to wait %v for %d, a nanosecond less was enough", p, d.Retry, cost)
	}
}

func checkReset(t *rapid.T, p Policy, s shelf, now int64, d Decision) {
	then := now + int64(d.Reset)
	if _, _, whole, _ := p.Take(nil, s.at(then), then, 0, 1); whole.Remaining != p.Capacity() {
		t.Fatalf("%v: reset in %v, then %+v", p, d.Reset, whole)
	}
}

// A key was blocked for an hour after the clock had been set back by one.
func TestAClockThatIsSetBackBlocksNobodyForLonger(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Policy{
			Algorithm: Algorithm(rapid.IntRange(0, 3).Draw(t, "algorithm")), Limit: rapid.Int64Range(1, 50).Draw(t, "limit"),
		}
		if p.Algorithm == Concurrency {
			p.Lease = time.Minute
		} else {
			p.Per = time.Duration(rapid.Int64Range(1, 90).Draw(t, "per")) * time.Second
		}
		p = p.WithDefaults()
		now, row := start, []byte(nil)
		for id := uint64(1); ; id++ {
			next, _, d, err := p.Take(nil, row, now, 1, id)
			if err != nil {
				t.Fatal(err)
			}
			if !d.Allowed {
				break
			}
			row = next
		}
		now -= rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, "back")
		_, _, d, err := p.Take(nil, row, now, 1, 99)
		longest := max(p.Window(), p.Lease)
		if p.Algorithm == SlidingWindow {
			longest *= 2
		}
		if err != nil || d.Allowed || d.Retry > longest || d.Reset > longest {
			t.Fatalf("%v: %+v %v", p, d, err)
		}
	})
}

func TestLeases(t *testing.T) {
	p := Policy{Algorithm: Concurrency, Limit: 2}.WithDefaults()
	var row []byte
	take := func(now int64, id uint64) Decision {
		t.Helper()
		next, _, d, err := p.Take(nil, row, now, 1, id)
		if err != nil {
			t.Fatal(err)
		}
		row = next
		return d
	}
	if a, b, c := take(start, 1), take(start+1, 2), take(start+2, 3); !a.Allowed || !b.Allowed || c.Allowed || c.Retry != time.Minute-2 {
		t.Fatal(a, b, c)
	}
	next, _, found, err := p.Release(nil, row, start+3, 1)
	if !found || err != nil {
		t.Fatal(found, err)
	}
	row = next
	if _, _, again, _ := p.Release(nil, row, start+3, 1); again {
		t.Error("a lease was released twice")
	}
	if d := take(start+4, 4); !d.Allowed {
		t.Error("the place of a released lease is not free")
	}
	if row, _, found, _ = p.Renew(nil, row, start+int64(time.Minute)-1, 2); !found {
		t.Error("not renewed")
	}
	if d := take(start+int64(time.Minute)+10, 5); !d.Allowed || d.Remaining != 0 {
		t.Errorf("lease 4 has ended, 2 was renewed: %+v", d)
	}
	if _, _, _, err := p.Take(nil, row[1:], start, 1, 1); err == nil {
		t.Error("half a row was taken")
	}
}

func BenchmarkGCRA(b *testing.B) {
	p := Policy{Limit: 10, Per: time.Second, Burst: 10}
	var row [8]byte
	now, state := start, []byte(nil)
	for b.Loop() {
		now += 1000
		next, _, d, _ := p.Take(row[:0], state, now, 1, 0)
		if d.Allowed {
			state = next
		}
	}
}
