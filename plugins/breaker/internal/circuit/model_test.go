package circuit

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/theseusd/theseus/sdk/clock"
	"github.com/theseusd/theseus/sdk/state"
)

const start = int64(1_700_000_000_000_000_000)

// call is one report that a model remembers.
type call struct {
	at           int64
	failed, slow bool
}

// model says the same in another way: it remembers every report since the circuit moved last, and asks its memory.
type model struct {
	s      Settings
	state  State
	calls  []call
	trips  int64
	opened int64
	out    map[uint64]int64 // probes and when they were let through
	good   int64
}

func (m *model) to(s State, now int64) {
	if s == Open {
		m.trips++
		m.opened = now
	} else if s != HalfOpen {
		m.trips = 0
	}
	m.state, m.calls, m.out, m.good = s, nil, map[uint64]int64{}, 0
}

// rest is how long the cooldown still takes.
func (m *model) rest(now int64) int64 {
	d := int64(m.s.Cooldown)
	for range m.trips - 1 {
		d = min(d*2, int64(m.s.MaxCooldown))
	}
	return m.opened + d - now
}

func (m *model) pass(now int64) {
	if m.state == Open && m.rest(now) <= 0 {
		m.to(HalfOpen, now)
	}
	for _, at := range m.out {
		if m.state == HalfOpen && now-at >= int64(m.s.Lease) {
			m.to(Open, now)
		}
	}
}

func (m *model) permit(now int64, id uint64) bool {
	switch m.state {
	case Closed, ForcedClosed:
		return true
	case HalfOpen:
		if int64(len(m.out))+m.good < m.s.Probes {
			m.out[id] = now
			return true
		}
	}
	return false
}

func (m *model) report(now int64, lease uint64, failed, slow bool) (known bool) {
	switch {
	case m.state == Closed && lease == 0:
		m.calls = append(m.calls, call{now, failed, slow})
		if m.trip(now) {
			m.to(Open, now)
		}
	case m.state == HalfOpen && lease != 0:
		if _, known = m.out[lease]; !known {
			return false
		}
		delete(m.out, lease)
		if m.good++; failed || slow {
			m.to(Open, now)
		} else if m.good == m.s.Probes {
			m.to(Closed, now)
		}
	default:
		return lease == 0 || m.state == ForcedOpen || m.state == ForcedClosed
	}
	return true
}

func (m *model) trip(now int64) bool {
	row, n, bad, late := int64(0), 0.0, 0.0, 0.0
	per := int64(m.s.Window) / bucketCount
	for _, c := range m.calls {
		if row++; !c.failed {
			row = 0
		}
		if c.at/per > now/per-bucketCount {
			n++
			bad += float64(one(c.failed))
			late += float64(one(c.slow))
		}
	}
	over := func(part, ratio float64) bool { return n >= float64(m.s.MinimumCalls) && ratio > 0 && part/n >= ratio }
	return row >= m.s.Failures || over(bad, m.s.FailureRatio) || over(late, m.s.SlowRatio)
}

func drawSettings(t *rapid.T) Settings {
	return Settings{
		Failures:     rapid.Int64Range(1, 6).Draw(t, "failures"),
		FailureRatio: rapid.SampledFrom([]float64{-1, 0.25, 0.5, 1}).Draw(t, "ratio"),
		SlowRatio:    rapid.SampledFrom([]float64{-1, 0.25, 0.5, 1}).Draw(t, "slow"),
		MinimumCalls: rapid.Int64Range(1, 12).Draw(t, "minimum"), SlowAfter: clock.Duration(time.Second),
		Probes: rapid.Int64Range(1, 3).Draw(t, "probes"), Lease: clock.Duration(4 * time.Second),
	}.Over(DefaultSettings)
}

// Whatever comes, in whatever order, a circuit stands where its model does. That it is written as a row and read again
// between any two calls, as an upgrade or a crash has it, changes nothing.
func TestACircuitAgreesWithItsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSettings(t)
		m := &model{s: s, out: map[uint64]int64{}}
		var c Circuit
		now, leases := start, []uint64{0}
		for id := range uint64(rapid.IntRange(1, 150).Draw(t, "calls")) {
			now += int64(rapid.SampledFrom(steps).Draw(t, "passed"))
			turn := again(t, c).At(s, now, 0.5)
			m.pass(now)
			switch rapid.IntRange(0, 29).Draw(t, "what") {
			case 0:
				turn.Force(ForceOpen)
				m.to(ForcedOpen, now)
			case 1:
				turn.Force(ForceClose)
				m.to(ForcedClosed, now)
			case 2, 3:
				turn.Force(Reset)
				m.to(Closed, now)
			case 4, 5, 6, 7, 8, 9, 10, 11, 12:
				p := turn.Permit(id + 1)
				if want := m.permit(now, id+1); p.Allowed != want {
					t.Fatalf("%v permits %v, the model %v", turn.State, p.Allowed, want)
				}
				if p.Lease != 0 {
					leases = append(leases, p.Lease)
				}
				if turn.State == Open && int64(p.Retry) != m.rest(now) {
					t.Fatalf("asks to come back in %v, the model in %v", p.Retry, time.Duration(m.rest(now)))
				}
			default:
				r := Report{Failed: rapid.IntRange(0, 2).Draw(t, "failed") == 0, Lease: rapid.SampledFrom(leases).Draw(t, "lease")}
				if m.state == HalfOpen && rapid.Bool().Draw(t, "latest") {
					r.Lease = leases[len(leases)-1]
				}
				if rapid.IntRange(0, 5).Draw(t, "took") == 0 {
					r.Took = time.Second
				}
				err := turn.Report(r)
				if known := m.report(now, r.Lease, r.Failed, r.Took > 0); known != !errors.Is(err, ErrLease) {
					t.Fatalf("%v: %v, the model knows the lease: %v", turn.State, err, known)
				}
			}
			if c = turn.Circuit; c.State != m.state || c.Trips != m.trips {
				t.Fatalf("%v after %d trips, the model %v after %d; %v", c.State, c.Trips, m.state, m.trips, turn.Changes)
			}
		}
	})
}

// steps are how time passes: mostly little, and sometimes past every bound.
var steps = []time.Duration{
	0, 0, 0, 1, time.Millisecond, 100 * time.Millisecond, time.Second, time.Second, 3 * time.Second, 9 * time.Second, 40 * time.Second, time.Hour,
}

// again is a circuit after it was a row.
func again(t *rapid.T, c Circuit) Circuit {
	row, err := state.Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	back, err := state.Decode[Circuit](row)
	if err != nil || !reflect.DeepEqual(c, back) && len(c.Probes) > 0 {
		t.Fatalf("%+v became %+v, %v", c, back, err)
	}
	return back
}

// A circuit stayed open for an hour after the clock had been set back by one.
func TestAClockThatIsSetBackKeepsNoCircuitOpen(t *testing.T) {
	s := DefaultSettings
	turn := Circuit{}.At(s, start, 0.5)
	for range s.Failures {
		if err := turn.Report(Report{Failed: true}); err != nil {
			t.Fatal(err)
		}
	}
	turn = turn.At(s, start-int64(time.Hour), 0.5)
	if p := turn.Permit(1); p.Allowed || p.Retry > time.Duration(s.MaxCooldown) {
		t.Fatalf("%v: %+v", turn.State, p)
	}
	turn = turn.At(s, start-int64(time.Hour)+int64(s.MaxCooldown), 0.5)
	if p := turn.Permit(1); !p.Allowed || p.Lease != 1 {
		t.Fatalf("%v: %+v", turn.State, p)
	}
	turn = turn.At(s, start-int64(2*time.Hour), 0.5).At(s, start-int64(2*time.Hour)+int64(s.Lease), 0.5)
	if turn.State != Open {
		t.Errorf("a probe has its lease for longer: %v", turn.State)
	}
}

func TestCountsOfTheFutureCountNow(t *testing.T) {
	s := Settings{Failures: -1, MinimumCalls: 4, FailureRatio: 0.5}.Over(DefaultSettings)
	turn := Circuit{}.At(s, start, 0.5)
	for range 2 {
		_ = turn.Report(Report{Failed: true})
	}
	turn = turn.At(s, start-int64(time.Hour), 0.5)
	_ = turn.Report(Report{})
	if turn.State != Closed {
		t.Fatal(turn.State)
	}
	if _ = turn.Report(Report{}); turn.State != Open {
		t.Errorf("%v: %+v", turn.State, turn.Window.Sum(s, turn.now))
	}
}

func TestCooldownsGrowUpToABound(t *testing.T) {
	s := Settings{Jitter: 0.5}.Over(DefaultSettings)
	for trip, want := range map[int64]time.Duration{1: 30 * time.Second, 2: time.Minute, 3: 2 * time.Minute, 5: 5 * time.Minute, maxCount: 5 * time.Minute} {
		if got := time.Duration(s.cooldown(trip, 0.5)); got != want {
			t.Errorf("trip %d: %v, want %v", trip, got, want)
		}
		if low, high := s.cooldown(trip, 0), s.cooldown(trip, 1); low != int64(want)/2 || high != int64(want)*3/2 || high > s.longest() {
			t.Errorf("trip %d: from %d to %d", trip, low, high)
		}
	}
}

func TestSettingsThatMakeNoSense(t *testing.T) {
	for name, s := range map[string]Settings{
		"no window": {Window: -1}, "an age": {Cooldown: maxTime + 1}, "backwards": {MaxCooldown: clock.Duration(time.Second)},
		"a ratio above 1": {FailureRatio: 1.1}, "shrinking": {Backoff: 0.5}, "more jitter than time": {Jitter: 1},
		"too many probes": {Probes: MaxProbes + 1}, "negative calls": {MinimumCalls: -1}, "negative slowness": {SlowAfter: -1},
	} {
		if s.Over(DefaultSettings).Check() == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// Fewer probes are asked for than have passed already: the circuit hung half open.
func TestFewerProbesCloseACircuit(t *testing.T) {
	c := Circuit{State: HalfOpen, Since: start, Passed: 2}
	if turn := c.At(Settings{Probes: 2}.Over(DefaultSettings), start, 0.5); turn.State != Closed || !turn.Permit(1).Allowed {
		t.Error(turn.State)
	}
}

func BenchmarkPermitAndReport(b *testing.B) {
	var c Circuit
	for now := start; b.Loop(); now += 1000 {
		t := c.At(DefaultSettings, now, 0.5)
		t.Permit(1)
		_ = t.Report(Report{})
		c = t.Circuit
	}
}
