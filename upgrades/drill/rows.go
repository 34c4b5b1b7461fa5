package drill

import (
	"context"
	"fmt"
	"time"
)

// rows upgrades, rolls back and upgrades under writes, each time to the end, and looks at every row after each.
func rows(ctx context.Context, d *drill) error {
	in, l, err := d.bigOne(ctx)
	if err != nil {
		return err
	}
	line := Line{Name: "every row after up, down, up", Figures: map[string]float64{}}
	line.Goal = "each acknowledged write there exactly once, in the right shape"
	to, err := in.release(ctx, d.Packages.Visits2)
	if err != nil {
		return err
	}
	s, err := in.Status(ctx)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		to, version string
		shape       shape
	}{{to, "2.0.0", shape2}, {s.Release, "1.0.0", shape1}, {to, "2.0.0", shape2}} {
		if err := d.changeUnderLoad(ctx, in, l, &line, step.to); err != nil {
			return err
		}
		if err := in.serves(ctx, "visits", step.version); err != nil {
			return err
		}
		d.broken(&line, verify(ctx, in.http, l, step.shape)...)
		d.broken(&line, in.counts(ctx, len(l.acked)))
	}
	line.Figures["rows"], line.Figures["writes"] = float64(len(l.acked)), float64(l.total())
	line.Text = fmt.Sprintf("%d rows read three times, %d acknowledged writes, all there once", len(l.acked), l.total())
	if len(line.Broken) > 0 {
		line.Text = fmt.Sprintf("%d rows, %d acknowledged writes", len(l.acked), l.total())
	}
	d.add(line)
	return nil
}

// changeUnderLoad goes to another release, to its end, while rows are written.
func (d *drill) changeUnderLoad(ctx context.Context, in *instance, l *ledger, line *Line, to string) error {
	writing := startLoad(ctx, in.http, l, d.Rate, false)
	began := time.Now()
	err := in.upgrade(ctx, to).end(ctx)
	_, _, errs := writing.stop()
	d.broken(line, errs...)
	d.Say(fmt.Sprintf("  %s is permanent after %.1f s", to, time.Since(began).Seconds()))
	return err
}

// counts compares the number of rows, of which probes may have added a few.
func (in *instance) counts(ctx context.Context, want int) error {
	s, err := in.service(ctx, "visits")
	if err != nil {
		return err
	}
	const probes = 10
	if n := s.Rows["visits"]; n < uint64(want) || n > uint64(want)+probes {
		return fmt.Errorf("the table has %d rows, want %d", n, want)
	}
	return nil
}
