package drill

import (
	"context"
	"errors"
	"fmt"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades"
)

// bad upgrades to a version that turns unhealthy in its probation.
func bad(ctx context.Context, d *drill) error {
	in, l, err := d.bigOne(ctx)
	if err != nil {
		return err
	}
	line := Line{Name: "bad version", Figures: map[string]float64{}}
	line.Goal = "rolled back by itself, every write kept, clients see nothing"
	before, err := in.service(ctx, "visits")
	if err != nil {
		return err
	}
	to, err := in.release(ctx, d.Packages.VisitsBad)
	if err != nil {
		return err
	}
	client, err := startProbe(ctx, in.http, "probe-bad")
	if err != nil {
		return err
	}
	writing := startLoad(ctx, in.http, l, d.Rate, false)
	up := in.upgrade(ctx, to)
	err = up.end(ctx)
	longest := client.longest(up.begun, up.ended)
	_, perr := client.stop()
	written, _, errs := writing.stop()
	d.broken(&line, append(errs, perr, rolledBack(err), in.serves(ctx, "visits", before.Version))...)
	d.broken(&line, verify(ctx, in.http, l, shapeOf(before.Version))...)
	lived := up.when(string(upgrades.RollingBack)).Sub(up.when(string(upgrades.Committed)))
	line.Figures["lived_ms"], line.Figures["longest_gap_ms"] = ms(lived), ms(longest)
	line.Text = fmt.Sprintf("back after %.1f s of its probation, %d writes meanwhile, longest gap %.1f ms",
		lived.Seconds(), written, ms(longest))
	d.add(line)
	return nil
}

// rolledBack fails unless that is how the upgrade ended.
func rolledBack(err error) error {
	var no *control.Error
	if errors.As(err, &no) && no.Code == "rolled_back" {
		return nil
	}
	if err == nil {
		return errors.New("the bad version became permanent")
	}
	return fmt.Errorf("the upgrade did not end in a rollback: %w", err)
}

func shapeOf(version string) shape { return version[0] != '1' }
