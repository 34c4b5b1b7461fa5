package upgrades

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/appup"
)

// gateEvery is how often the traffic of a new version is compared with that of the old one.
const gateEvery = time.Second

// measure asks the old versions about the last minute before the switch. One that cannot say is not compared with.
func (f *flight) measure(ctx context.Context) map[string]control.Traffic {
	before := map[string]control.Traffic{}
	for _, m := range f.moves {
		if !alive(m.old) || m.Do == doStop {
			continue
		}
		s, err := status(ctx, m.old)
		if err != nil {
			f.e.log.Warn("nothing is known of the minute before", "service", m.Service, "error", err)
			continue
		}
		before[m.Service] = s.Traffic
	}
	return before
}

// watchTraffic fails the probation when a new version misses a gate.
func (f *flight) watchTraffic(ctx context.Context, m *move, in Instance, fail context.CancelCauseFunc) {
	var before control.Traffic
	f.e.read(func(r *registry) {
		if r.upgrade != nil {
			before = r.upgrade.before[m.Service]
		}
	})
	tick := time.NewTicker(gateEvery)
	defer tick.Stop()
	for {
		if s, err := status(ctx, in); err == nil { // else the health check tells
			f.seen(m, s.Traffic, before)
			if err := judge(m.Limits, s.Traffic, before); err != nil {
				fail(&StepError{
					Service: m.Service, Step: stepGate, Err: err,
					Hint: "the limits of " + m.Service + " are in [probation] of its appup.toml; see: reltool history",
				})
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-in.Done():
			return
		case <-tick.C:
		}
	}
}

// judge compares a version with the one before. Fewer requests than the limits want say nothing; if there were fewer
// before, only what is allowed in any case counts.
func judge(l appup.Limits, now, before control.Traffic) error {
	if now.Requests == 0 || now.Requests < l.Requests {
		return nil
	}
	idle := before.Requests == 0 || before.Requests < l.Requests
	return errors.Join(judgeErrors(l, now, before, idle), judgeP99(l, now, before, idle))
}

func judgeErrors(l appup.Limits, now, before control.Traffic, idle bool) error {
	base := failed(before)
	if idle {
		base = 0
	}
	rate := failed(now)
	switch {
	case !l.Errors || rate <= base+l.ErrorRate:
		return nil
	case idle:
		return fmt.Errorf("error rate %s, with too few requests in the minute before to compare (allowed %s)",
			percent(rate), percent(l.ErrorRate))
	}
	return fmt.Errorf("error rate %s against %s in the minute before (allowed %s more)",
		percent(rate), percent(base), percent(l.ErrorRate))
}

func judgeP99(l appup.Limits, now, before control.Traffic, idle bool) error {
	p99 := seconds(now.P99)
	switch {
	case l.P99Factor == 0 && l.P99 == 0 || p99 <= l.Floor():
		return nil
	case l.P99Factor == 0:
		return fmt.Errorf("p99 %s (allowed %s)", brief(p99), brief(l.P99))
	case idle && l.P99 == 0:
		return nil
	case idle:
		return fmt.Errorf("p99 %s, with too few requests in the minute before to compare (allowed %s)", brief(p99), brief(l.P99))
	case now.P99 <= before.P99*l.P99Factor:
		return nil
	}
	return fmt.Errorf("p99 %s against %s in the minute before (allowed %sx)",
		brief(p99), brief(seconds(before.P99)), strconv.FormatFloat(l.P99Factor, 'g', -1, 64))
}

// failed is the share of failed requests.
func failed(t control.Traffic) float64 {
	if t.Requests == 0 {
		return 0
	}
	return float64(t.Failures) / float64(t.Requests)
}

func percent(share float64) string { return strconv.FormatFloat(share*100, 'g', 3, 64) + "%" }

// brief writes a duration with two or three digits and a space: "12 ms".
func brief(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'g', 3, 64) + " ms"
	}
	return strconv.FormatFloat(d.Seconds(), 'g', 3, 64) + " s"
}

// seen keeps what a version on probation is like, for those who look.
func (f *flight) seen(m *move, now, before control.Traffic) {
	f.trialMu.Lock()
	defer f.trialMu.Unlock()
	if f.trials == nil {
		f.trials = map[string]control.Trial{}
	}
	f.trials[m.Service] = control.Trial{Service: m.Service, Version: m.To, Now: now, Before: before}
}

// onTrial lists the versions on probation by service.
func (f *flight) onTrial() (list []control.Trial) {
	f.trialMu.Lock()
	defer f.trialMu.Unlock()
	for _, service := range slices.Sorted(maps.Keys(f.trials)) {
		t := f.trials[service]
		f.e.read(func(r *registry) {
			if r.upgrade != nil {
				t.Crashes = r.upgrade.crashes[service]
			}
		})
		list = append(list, t)
	}
	return list
}

// trialText says for the history what the versions on probation were like.
func (f *flight) trialText() string {
	var list []string
	for _, t := range f.onTrial() {
		if t.Now.Requests == 0 {
			continue
		}
		list = append(list, fmt.Sprintf("%s in the last minute: %s, %s failed, p99 %s",
			t.Service, plural(t.Now.Requests, "request"), percent(failed(t.Now)), brief(seconds(t.Now.P99))))
	}
	return strings.Join(list, "; ")
}

// spare tells whether a probation that has ended goes on because its version may crash once more, and starts that
// version again. If it does not come up the error is why.
func (f *flight) spare(ctx context.Context, cause error) (spared bool, err error) {
	var step *StepError
	if !errors.As(cause, &step) || !errors.Is(cause, ErrGone) || f.e.closed() != nil {
		return false, nil
	}
	for _, m := range f.moves {
		if m.Service == step.Service && m.new != nil && !alive(m.new) && f.mayCrash(m) {
			return true, f.restart(ctx, m)
		}
	}
	return false, nil
}

// mayCrash is true if the new version of a service has not died more often than its manifest allows, this time included.
func (f *flight) mayCrash(m *move) bool {
	crashes := 0
	f.e.read(func(r *registry) {
		if r.upgrade != nil {
			crashes = r.upgrade.crashes[m.Service]
		}
	})
	return crashes < m.Limits.Crashes
}

// restart brings a new version up again that has died on probation. Its connections are gone, its rows are not.
func (f *flight) restart(ctx context.Context, m *move) error {
	f.countCrash(m)
	if err := f.bringUp(ctx, m); err != nil {
		return err
	}
	if err := f.takeOver(ctx, m, m.forComeBack(), false); err != nil {
		return err
	}
	if m.live() && alive(m.old) {
		f.pairBack(ctx, m)
	}
	return nil
}

// countCrash journals that a version died, so that another daemon counts on.
func (f *flight) countCrash(m *move) {
	ev := f.event(Restarted)
	ev.Service = m.Service
	ev.Text = fmt.Sprintf("%s died and is started again, at most %s in this probation", m.To, plural(uint64(m.Limits.Crashes), "time"))
	f.feeds.send(f.e.must(record{Event: ev}))
}
