package circuit

import (
	"fmt"
	"math"
	"time"

	"github.com/theseusd/theseus/sdk/clock"
)

// Settings of a circuit. A field that is zero has its default; a negative threshold is none.
type Settings struct {
	Failures     int64          `json:"failures,omitempty"`      // in a row; DefaultSettings has the defaults
	FailureRatio float64        `json:"failure_ratio,omitempty"` // of the calls in the window
	SlowRatio    float64        `json:"slow_ratio,omitempty"`    // likewise, of those that took SlowAfter or longer
	SlowAfter    clock.Duration `json:"slow_after,omitempty"`    // no call is slow if 0
	MinimumCalls int64          `json:"minimum_calls,omitempty"` // in the window, before a ratio counts
	Window       clock.Duration `json:"window,omitempty"`
	Cooldown     clock.Duration `json:"cooldown,omitempty"`     // the first one
	Backoff      float64        `json:"backoff,omitempty"`      // by which each cooldown is longer than the one before
	MaxCooldown  clock.Duration `json:"max_cooldown,omitempty"` // at most
	Jitter       float64        `json:"jitter,omitempty"`       // up to this part of a cooldown more or less, by chance
	Probes       int64          `json:"probes,omitempty"`       // that must go well before it closes
	Lease        clock.Duration `json:"lease,omitempty"`        // in which a probe has to be reported
}

// DefaultSettings are those of a circuit that nobody has written settings for.
var DefaultSettings = Settings{
	Failures: 5, FailureRatio: 0.5, SlowRatio: 0.5, MinimumCalls: 20, Window: clock.Duration(10 * time.Second),
	Cooldown: clock.Duration(30 * time.Second), Backoff: 2, MaxCooldown: clock.Duration(5 * time.Minute),
	Probes: 3, Lease: clock.Duration(30 * time.Second),
}

// Over is s where it says something, and other where it does not.
func (s Settings) Over(other Settings) Settings {
	out := s
	fill(&out.Failures, other.Failures)
	fill(&out.FailureRatio, other.FailureRatio)
	fill(&out.SlowRatio, other.SlowRatio)
	fill(&out.SlowAfter, other.SlowAfter)
	fill(&out.MinimumCalls, other.MinimumCalls)
	fill(&out.Window, other.Window)
	fill(&out.Cooldown, other.Cooldown)
	fill(&out.Backoff, other.Backoff)
	fill(&out.MaxCooldown, other.MaxCooldown)
	fill(&out.Jitter, other.Jitter)
	fill(&out.Probes, other.Probes)
	fill(&out.Lease, other.Lease)
	return out
}

func fill[T comparable](to *T, otherwise T) {
	var zero T
	if *to == zero {
		*to = otherwise
	}
}

// Bounds of settings.
const (
	MaxProbes = 1000
	maxCount  = 1_000_000_000
	maxTime   = clock.Duration(366 * 24 * time.Hour)
)

// Check says what is wrong with settings that have no defaults left.
func (s Settings) Check() error {
	for _, d := range []struct {
		name  string
		value clock.Duration
	}{{"window", s.Window}, {"cooldown", s.Cooldown}, {"max_cooldown", s.MaxCooldown}, {"lease", s.Lease}} {
		if d.value < clock.Duration(time.Millisecond) || d.value > maxTime {
			return fmt.Errorf("%s: %v is not between 1ms and %v", d.name, time.Duration(d.value), time.Duration(maxTime))
		}
	}
	switch {
	case s.Failures > maxCount || s.MinimumCalls < 1 || s.MinimumCalls > maxCount:
		return fmt.Errorf("failures and minimum_calls are at most %d, minimum_calls at least 1", maxCount)
	case badRatio(s.FailureRatio) || badRatio(s.SlowRatio):
		return fmt.Errorf("failure_ratio and slow_ratio are at most 1")
	case s.SlowAfter < 0 || s.SlowAfter > maxTime:
		return fmt.Errorf("slow_after: %v is not between 0 and %v", time.Duration(s.SlowAfter), time.Duration(maxTime))
	case s.MaxCooldown < s.Cooldown:
		return fmt.Errorf("max_cooldown is shorter than cooldown")
	case !(s.Backoff >= 1 && s.Backoff <= 100):
		return fmt.Errorf("backoff: %v is not between 1 and 100", s.Backoff)
	case !(s.Jitter >= 0 && s.Jitter <= 0.5):
		return fmt.Errorf("jitter: %v is not between 0 and 0.5", s.Jitter)
	case s.Probes < 1 || s.Probes > MaxProbes:
		return fmt.Errorf("probes: %d is not between 1 and %d", s.Probes, MaxProbes)
	}
	return nil
}

func badRatio(r float64) bool { return !(r <= 1) }

// cooldown is how long the trip of that number lasts, with chance from 0 to 1.
func (s Settings) cooldown(trip int64, chance float64) int64 {
	d := float64(s.Cooldown) * math.Pow(s.Backoff, float64(trip-1))
	d = min(d, float64(s.MaxCooldown))
	return int64(d * (1 + s.Jitter*(2*chance-1)))
}

// longest is more than any cooldown.
func (s Settings) longest() int64 { return int64(float64(s.MaxCooldown) * (1 + s.Jitter)) }
