package drill

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/theseusd/theseus/upgrades"
)

const (
	pauseGoal = 10 * time.Millisecond
	ratioGoal = 2.0
	settled   = 300 * time.Millisecond // that a version serves before the rollback, and a probe afterwards
)

// pauses measures the gap that a client sees at an upgrade and at a rollback, at every size.
func pauses(ctx context.Context, d *drill) error {
	return d.pauses(ctx, Line{Name: "pause of upgrade and rollback", Figures: map[string]float64{}})
}

// processSizes are how many processes there are when the pause is measured, whatever the number of rows elsewhere.
var processSizes = []int{1000, 100_000}

// processes is pauses for a service whose state is in processes, each with a name. Every count is looked at afterwards.
func processes(ctx context.Context, d *drill) error {
	own := *d
	own.dir = filepath.Join(d.dir, "processes") // its packages have the names of others
	own.Packages.Visits1, own.Packages.Visits2 = d.Packages.Processes1, d.Packages.Processes2
	own.Sizes, own.report, own.big, own.Rows, own.verify = processSizes, &Report{}, nil, 0, true
	own.Rate = min(d.Rate, processRate)
	err := own.pauses(ctx, Line{Name: "pause with processes", Figures: map[string]float64{}})
	d.all = own.all
	for _, p := range own.report.Pauses {
		p.What = "processes"
		d.report.Pauses = append(d.report.Pauses, p)
	}
	d.report.Lines = append(d.report.Lines, own.report.Lines...)
	return err
}

// processRate is how many calls a second there are beside the probe.
const processRate = 20_000

func (d *drill) pauses(ctx context.Context, line Line) error {
	line.Goal = fmt.Sprintf("<= %.0f ms at every size, largest/smallest <= %.0f", ms(pauseGoal), ratioGoal)
	for _, size := range d.Sizes {
		p, err := d.pauseAt(ctx, &line, size)
		if err != nil {
			return fmt.Errorf("at %d: %w", size, err)
		}
		d.report.Pauses = append(d.report.Pauses, p)
		line.Figures[fmt.Sprintf("upgrade_%d_ms", size)] = p.Upgrade
		line.Figures[fmt.Sprintf("rollback_%d_ms", size)] = p.Rollback
		line.Missed = line.Missed || max(p.Upgrade, p.Rollback) > ms(pauseGoal)
		d.Say(fmt.Sprintf("  %d: upgrade %.2f ms, rollback %.2f ms, without %.2f ms", size, p.Upgrade, p.Rollback, p.Quiet))
	}
	first, last := d.report.Pauses[0], d.report.Pauses[len(d.report.Pauses)-1]
	up, down := last.Upgrade/first.Upgrade, last.Rollback/first.Rollback
	line.Figures["upgrade_ratio"], line.Figures["rollback_ratio"] = up, down
	line.Missed = line.Missed || max(up, down) > ratioGoal
	line.Text = fmt.Sprintf("%.2f and %.2f ms at %d; %d/%d: %.2f and %.2f",
		last.Upgrade, last.Rollback, last.Rows, last.Rows, first.Rows, up, down)
	d.add(line)
	return nil
}

// sample is one upgrade and its rollback.
type sample struct{ upgrade, rollback, ownUp, ownDown, whole, quiet, ready time.Duration }

func (d *drill) pauseAt(ctx context.Context, line *Line, size int) (p Pause, err error) {
	in, l, finish, err := d.sized(ctx, size)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, finish()) }()
	to, err := in.release(ctx, d.Packages.Visits2)
	if err != nil {
		return p, err
	}
	writing := startLoad(ctx, in.http, l, d.Rate, false)
	client, err := startProbe(ctx, in.http, "probe")
	if err != nil {
		return p, err
	}
	var samples []sample
	for len(samples) < d.Reps && err == nil {
		var s sample
		s, err = backAndForth(ctx, in, client, to, !d.Quick || len(samples) == 0)
		samples = append(samples, s)
	}
	_, perr := client.stop()
	_, rate, errs := writing.stop()
	d.broken(line, append(errs, perr)...)
	if d.verify {
		d.broken(line, verify(ctx, in.http, l, shape1)...)
	}
	p = summary(size, samples)
	p.Rate = rate
	return p, err
}

// sized is an instance with so many rows; finish ends it if it is not the big one.
func (d *drill) sized(ctx context.Context, size int) (in *instance, l *ledger, finish func() error, err error) {
	if size == d.Rows {
		in, l, err = d.bigOne(ctx)
		return in, l, func() error { return nil }, err
	}
	if in, err = d.fresh(ctx, fmt.Sprint(size)); err != nil {
		return nil, nil, nil, err
	}
	l = newLedger(size)
	if err = fill(ctx, in.http, l); err != nil {
		return nil, nil, nil, errors.Join(err, in.stop())
	}
	return in, l, in.stop, nil
}

// waiter is whoever knows how long it waited for an answer.
type waiter interface {
	longest(from, to time.Time) time.Duration
}

// backAndForth upgrades and rolls back in the probation; with compare it then watches the client for as long without
// either.
func backAndForth(ctx context.Context, in *instance, client waiter, to string, compare bool) (s sample, err error) {
	up := in.upgrade(ctx, to)
	if err := up.reached(ctx, string(upgrades.Probation)); err != nil {
		return s, err
	}
	if err := pass(ctx, settled); err != nil {
		return s, err
	}
	down := in.rollback(ctx)
	if err := down.end(ctx); err != nil {
		return s, fmt.Errorf("rollback: %w", err)
	}
	_ = up.end(ctx) // it tells that it was rolled back, which is what was asked for
	if err := pass(ctx, settled); err != nil {
		return s, err
	}
	end := time.Now()
	s.upgrade = client.longest(up.when(string(upgrades.Switching)), up.when(string(upgrades.Probation)))
	s.rollback = client.longest(up.when(string(upgrades.RollingBack)), up.when(string(upgrades.RolledBack)))
	s.ownUp, s.ownDown = up.pause("serving"), up.pause(string(upgrades.RolledBack))
	s.whole = client.longest(up.begun, end)
	s.ready = up.when(string(upgrades.Switching)).Sub(up.begun)
	if compare {
		err = pass(ctx, end.Sub(up.begun))
		s.quiet = client.longest(end, time.Now())
	}
	return s, err
}

// pass lets time go by.
func pass(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// median of a sorted list, in milliseconds.
func median(list []time.Duration) float64 {
	if len(list) == 0 {
		return 0
	}
	return ms(list[len(list)/2])
}

func summary(size int, all []sample) Pause {
	of := func(f func(sample) time.Duration) []time.Duration {
		var list []time.Duration
		for _, s := range all {
			if d := f(s); d > 0 { // what was not measured is 0
				list = append(list, d)
			}
		}
		slices.Sort(list)
		return list
	}
	return Pause{
		Rows: size, Reps: len(all),
		Upgrade:  median(of(func(s sample) time.Duration { return s.upgrade })),
		Rollback: median(of(func(s sample) time.Duration { return s.rollback })),
		OwnUp:    median(of(func(s sample) time.Duration { return s.ownUp })),
		OwnDown:  median(of(func(s sample) time.Duration { return s.ownDown })),
		Worst:    worst(all),
		Whole:    median(of(func(s sample) time.Duration { return s.whole })),
		Quiet:    median(of(func(s sample) time.Duration { return s.quiet })),
		Seconds:  median(of(func(s sample) time.Duration { return s.ready })) / 1000,
	}
}

func worst(all []sample) (d float64) {
	for _, s := range all {
		d = max(d, ms(s.upgrade), ms(s.rollback))
	}
	return d
}
