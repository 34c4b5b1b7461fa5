package circuit

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Circuit is one breaker as it stands; it is a row of the table. Times are nanoseconds since 1970.
type Circuit struct {
	State  State     `json:"state"`
	Since  int64     `json:"since"`            // of this state
	Until  int64     `json:"until,omitempty"`  // open: the end of the cooldown
	Trips  int64     `json:"trips,omitempty"`  // since it was closed last
	Streak int64     `json:"streak,omitempty"` // failures in a row
	Window Window    `json:"window"`
	Probes []Probe   `json:"probes,omitempty"` // half open: those under way
	Passed int64     `json:"passed,omitempty"` // half open: those that went well
	Own    *Settings `json:"own,omitempty"`    // what was set for this one
}

// Probe is a call that was let through to see whether things are well again.
type Probe struct {
	Lease uint64 `json:"lease"`
	Until int64  `json:"until"`
}

// ErrLease says that a probe was reported that is not under way: its lease has ended, or was never given.
var ErrLease = errors.New("there is no such lease")

// Turn is a circuit in the middle of a call: it collects what changed.
type Turn struct {
	Circuit
	Changes  []Change
	settings Settings
	now      int64
	chance   float64 // from 0 to 1, for the jitter
}

// At begins a call on the circuit: what is due at now has happened.
func (c Circuit) At(s Settings, now int64, chance float64) *Turn {
	t := &Turn{Circuit: c, settings: s, now: now, chance: chance}
	t.Probes = slices.Clone(c.Probes)
	t.Since = min(t.Since, now)
	switch t.State {
	case Open:
		t.Until = min(t.Until, now+s.longest())
		if now >= t.Until {
			t.fire(CoolDown, "the cooldown is over")
		}
	case HalfOpen:
		t.lose()
	}
	if t.State == HalfOpen && t.Passed >= s.Probes { // fewer are asked for than before
		t.fire(Recover, fmt.Sprintf("%d probes went well", t.Passed))
	}
	return t
}

// lose opens a circuit again whose probe was not reported in time.
func (t *Turn) lose() {
	for i, p := range t.Probes {
		if t.Probes[i].Until = min(p.Until, t.now+int64(t.settings.Lease)); t.Probes[i].Until <= t.now {
			t.fire(Relapse, "a probe was not reported in time")
			return
		}
	}
}

// Permit is the answer to whether a call may be made.
type Permit struct {
	Allowed bool
	Lease   uint64        // of a probe, which has to be reported with it
	Retry   time.Duration // if it may not: when it is worth to ask again; 0 if nobody knows
}

// Permit asks whether a call may be made. lease is the number that a probe gets.
func (t *Turn) Permit(lease uint64) Permit {
	switch t.State {
	case Closed, ForcedClosed:
		return Permit{Allowed: true}
	case Open:
		return Permit{Retry: time.Duration(t.Until - t.now)}
	case HalfOpen:
		return t.probe(lease)
	}
	return Permit{}
}

func (t *Turn) probe(lease uint64) Permit {
	if int64(len(t.Probes))+t.Passed >= t.settings.Probes {
		first := slices.MinFunc(t.Probes, func(a, b Probe) int { return cmp.Compare(a.Until, b.Until) })
		return Permit{Retry: time.Duration(first.Until - t.now)}
	}
	t.Probes = append(t.Probes, Probe{lease, t.now + int64(t.settings.Lease)})
	return Permit{Allowed: true, Lease: lease}
}

// Report tells how a call went.
type Report struct {
	Failed bool
	Took   time.Duration
	Lease  uint64 // of the permit; 0 if it had none
}

// Report takes note of how a call went.
func (t *Turn) Report(r Report) error {
	slow := t.settings.SlowAfter > 0 && r.Took >= time.Duration(t.settings.SlowAfter)
	switch {
	case t.State == HalfOpen && r.Lease != 0:
		return t.reportProbe(r, slow)
	case r.Lease != 0 && (t.State == Closed || t.State == Open):
		return ErrLease
	case t.State == Closed:
		t.count(r.Failed, slow)
	}
	return nil
}

func (t *Turn) reportProbe(r Report, slow bool) error {
	i := slices.IndexFunc(t.Probes, func(p Probe) bool { return p.Lease == r.Lease })
	if i < 0 {
		return ErrLease
	}
	t.Probes = slices.Delete(t.Probes, i, i+1)
	switch {
	case r.Failed:
		t.fire(Relapse, "a probe failed")
	case slow:
		t.fire(Relapse, "a probe was slow")
	default:
		if t.Passed++; t.Passed >= t.settings.Probes {
			t.fire(Recover, fmt.Sprintf("%d probes went well", t.Passed))
		}
	}
	return nil
}

// count counts a call of a closed circuit, and trips at a threshold.
func (t *Turn) count(failed, slow bool) {
	s := t.settings
	t.Streak = (t.Streak + 1) * one(failed)
	t.Window.add(s, t.now, failed, slow)
	sum := t.Window.Sum(s, t.now)
	enough := sum.Calls >= s.MinimumCalls
	switch {
	case s.Failures > 0 && t.Streak >= s.Failures:
		t.fire(Trip, fmt.Sprintf("%d failures in a row", t.Streak))
	case enough && s.FailureRatio > 0 && reached(sum.Failures, sum.Calls, s.FailureRatio):
		t.fire(Trip, fmt.Sprintf("%d of %d calls failed", sum.Failures, sum.Calls))
	case enough && s.SlowRatio > 0 && s.SlowAfter > 0 && reached(sum.Slow, sum.Calls, s.SlowRatio):
		t.fire(Trip, fmt.Sprintf("%d of %d calls were slow", sum.Slow, sum.Calls))
	}
}

func reached(n, of int64, ratio float64) bool { return float64(n) >= ratio*float64(of) }

// Force brings a circuit into a forced state, or out of it.
func (t *Turn) Force(e Event) { t.fire(e, "by hand") }

// fire moves the circuit if the table has the move; what belongs to the state before is gone.
func (t *Turn) fire(e Event, reason string) {
	to, ok := next[t.State][e]
	if !ok {
		return
	}
	t.Changes = append(t.Changes, Change{e, t.State, to, reason})
	trips := t.Trips
	t.Circuit = Circuit{State: to, Since: t.now, Own: t.Own}
	switch to {
	case Open:
		t.Trips = min(trips+1, maxCount)
		t.Until = t.now + t.settings.cooldown(t.Trips, t.chance)
	case HalfOpen:
		t.Trips = trips
	}
}
