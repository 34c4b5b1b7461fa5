package serve

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

// A Meter counts what a process answers: how many requests, how many of them failed, and how long they took, for each
// second of the last minute. HTTP and RESP listeners keep it by themselves; the handler of another protocol may (see
// [Conn.Meter]). The zero value works; any goroutine may use it. Counting costs some tens of nanoseconds and no memory.
type Meter struct {
	once sync.Once
	born time.Time

	mu    sync.Mutex // held to begin a second, and to read
	slots [slotCount]slot
}

const (
	slotCount = 64 // a minute and the second that is being written, in a ring
	minute    = 60

	perOctave   = 4 // so a bucket is at most a quarter wider than the one before
	octaves     = 27
	bucketCount = octaves * perOctave // from 1 µs to four minutes; what takes longer is in the last one
)

// slot is one second.
type slot struct {
	second   atomic.Int64 // since the meter's birth, counted from 1; 0: never used
	failures atomic.Uint32
	took     [bucketCount]atomic.Uint32
}

// Traffic is what a meter has seen in the last minute.
type Traffic struct {
	Requests, Failures uint64
	P99                time.Duration // 99 of 100 requests took no longer; up to a quarter too high
}

// Now is the time on the meter's clock; asking it costs half of what time.Now does.
func (m *Meter) Now() time.Duration {
	m.once.Do(func() { m.born = time.Now() })
	return time.Since(m.born)
}

// Record counts n requests that began together, at a time that Now told, and are answered now; failed of them are the
// service's own fault.
func (m *Meter) Record(began time.Duration, n, failed int) {
	now := m.Now()
	s := m.slot(second(now))
	s.took[bucket(now-began)].Add(uint32(n))
	if failed > 0 {
		s.failures.Add(uint32(failed))
	}
}

// second numbers the seconds of a meter's life from 1.
func second(now time.Duration) int64 { return int64(now/time.Second) + 1 }

// slot is where a second is counted. What was there a minute ago goes; a goroutine that stood still for that long may
// add its request to a later second.
func (m *Meter) slot(second int64) *slot {
	s := &m.slots[second%slotCount]
	if s.second.Load() >= second {
		return s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.second.Load() >= second {
		return s
	}
	s.failures.Store(0)
	for i := range s.took {
		s.took[i].Store(0)
	}
	s.second.Store(second)
	return s
}

// Traffic adds up the last minute.
func (m *Meter) Traffic() Traffic {
	now := second(m.Now())
	var t Traffic
	var took [bucketCount]uint64
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.slots {
		s := &m.slots[i]
		if second := s.second.Load(); second == 0 || second <= now-minute {
			continue
		}
		t.Failures += uint64(s.failures.Load())
		for b := range s.took {
			took[b] += uint64(s.took[b].Load())
		}
	}
	for _, n := range took {
		t.Requests += n
	}
	t.P99 = percentile99(&took, t.Requests)
	return t
}

func percentile99(took *[bucketCount]uint64, all uint64) time.Duration {
	if all == 0 {
		return 0
	}
	rank := all - all/100
	for b, n := range took {
		if n >= rank {
			return limit(b)
		}
		rank -= n
	}
	return limit(bucketCount - 1)
}

// bucket is where a duration is counted: by its highest bit in microseconds, and the two below that.
func bucket(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	if us < perOctave {
		return int(us)
	}
	octave := bits.Len64(us) - 3
	return min(octave*perOctave+int(us>>octave), bucketCount-1)
}

// limit is the shortest duration that is no longer in a bucket.
func limit(b int) time.Duration {
	if b < 2*perOctave {
		return time.Duration(b+1) * time.Microsecond
	}
	octave := b/perOctave - 1
	return time.Duration(b%perOctave+perOctave+1) << octave * time.Microsecond
}
