package main

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/theseusd/theseus/plugins/breaker/internal/circuit"
	"github.com/theseusd/theseus/sdk/clock"
)

// view is a circuit for the outside.
type view struct {
	Name     string           `json:"name"`
	State    circuit.State    `json:"state"`
	Since    time.Time        `json:"since,omitzero"`
	Cooldown float64          `json:"cooldown,omitempty"` // seconds that are left
	Trips    int64            `json:"trips"`              // since it was closed last
	Streak   int64            `json:"failures_in_a_row"`
	Calls    int64            `json:"calls"` // in the window
	Failures int64            `json:"failures"`
	Slow     int64            `json:"slow"`
	Probes   int              `json:"probes"` // under way
	Passed   int64            `json:"passed"`
	Settings circuit.Settings `json:"settings"`
}

// viewOf is the circuit as it stands now, though nothing is written of it.
func (b *breakers) viewOf(name string, c circuit.Circuit) view {
	s, now := b.settings(name, c), b.clock.Now()
	t := c.At(s, now, 0.5)
	sum := t.Window.Sum(s, now)
	v := view{
		Name: name, State: t.State, Trips: t.Trips, Streak: t.Streak, Calls: sum.Calls, Failures: sum.Failures, Slow: sum.Slow,
		Probes: len(t.Probes), Passed: t.Passed, Settings: s,
	}
	if t.Since > 0 {
		v.Since = time.Unix(0, t.Since).UTC()
	}
	if t.State == circuit.Open {
		v.Cooldown = time.Duration(t.Until - now).Seconds()
	}
	return v
}

func (v view) order(w view) int { return cmp.Compare(v.Name, w.Name) }

// String is the state in words.
func (v view) String() string {
	switch v.State {
	case circuit.Open:
		return fmt.Sprintf("open (cooldown=%ds)", clock.Seconds(v.cooldown()))
	case circuit.HalfOpen:
		return fmt.Sprintf("half_open (probes=%d passed=%d/%d)", v.Probes, v.Passed, v.Settings.Probes)
	case circuit.ForcedOpen:
		return "open (forced)"
	case circuit.ForcedClosed:
		return "closed (forced)"
	}
	return fmt.Sprintf("closed (calls=%d failures=%d slow=%d)", v.Calls, v.Failures, v.Slow)
}

func (v view) cooldown() time.Duration { return time.Duration(v.Cooldown * float64(time.Second)) }

// leaseText is how the outside writes the number of a lease.
func leaseText(id uint64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatUint(id, 16)
}

// leaseOf reads it; an empty text is no lease.
func leaseOf(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	id, err := strconv.ParseUint(text, 16, 64)
	if err != nil || id == 0 {
		return 0, circuit.ErrLease
	}
	return id, nil
}
