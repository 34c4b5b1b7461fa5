package drill

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/theseusd/theseus/upgrades"
)

// killNew kills the new version in its probation, after it has taken writes.
func killNew(ctx context.Context, d *drill) error {
	in, l, err := d.bigOne(ctx)
	if err != nil {
		return err
	}
	line := Line{Name: "kill -9 of the new version in its probation", Figures: map[string]float64{}}
	line.Goal = fmt.Sprintf("the old one is back in < %.0f s with every acknowledged write", backGoal.Seconds())
	before, err := in.service(ctx, "visits")
	if err != nil {
		return err
	}
	to, version, err := d.other(ctx, in)
	if err != nil {
		return err
	}
	writing := startLoad(ctx, in.http, l, d.Rate, true)
	up := in.upgrade(ctx, to)
	if err := up.reached(ctx, string(upgrades.Probation)); err != nil {
		return err
	}
	if err := pass(ctx, settled); err != nil {
		return err
	}
	back, err := in.killServing(ctx, "visits", version)
	if err != nil {
		return err
	}
	d.broken(&line, rolledBack(up.end(ctx)))
	written, _, _ := writing.stop() // its connections died with the new version
	doubts := l.doubts()
	d.broken(&line, verify(ctx, in.http, l, shapeOf(before.Version))...)
	d.broken(&line, in.serves(ctx, "visits", before.Version), in.counts(ctx, len(l.acked)))
	line.Missed = back >= backGoal
	line.Figures["back_ms"], line.Figures["writes"], line.Figures["in_flight"] = ms(back), float64(written), float64(doubts)
	line.Text = fmt.Sprintf("visits %s back in %.2f s, %d rows and %d writes all there, %d in flight",
		before.Version, back.Seconds(), len(l.acked), written, doubts)
	d.add(line)
	return nil
}

// killServing kills the process that serves, which must be of that version, and tells how long there was no answer.
func (in *instance) killServing(ctx context.Context, name, version string) (time.Duration, error) {
	if err := in.serves(ctx, name, version); err != nil {
		return 0, err
	}
	at := time.Now()
	if err := in.kill9(ctx, name); err != nil {
		return 0, err
	}
	return firstAnswer(ctx, in.http, at)
}

// kill9 kills the process of a service.
func (in *instance) kill9(ctx context.Context, name string) error {
	s, err := in.service(ctx, name)
	if err != nil {
		return err
	}
	return syscall.Kill(s.PID, syscall.SIGKILL)
}
