package drill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// replaceDaemon replaces the daemon again and again, under connections that are never idle.
func replaceDaemon(ctx context.Context, d *drill) (err error) {
	in, err := d.fresh(ctx, "daemon")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.stop()) }()
	line := Line{Goal: "0 failed, 0 dropped, every socket and every process the same", Figures: map[string]float64{}}
	line.Name = fmt.Sprintf("%d replacements of the daemon, %d HTTP + %d RESP clients", d.Upgrades, httpClients, respClients)
	first, err := in.Status(ctx)
	if err != nil {
		return err
	}
	var took time.Duration
	err = d.keeping(ctx, in, &line, func() (err error) {
		took, err = in.replacements(ctx, d.Theseusd, d.Upgrades)
		return err
	})
	if err != nil {
		return err
	}
	last, err := in.until(ctx, allRun)
	if err != nil {
		return err
	}
	d.broken(&line, sameProcesses(first, last))
	line.Figures["replaced_ms"] = ms(took)
	line.Text += fmt.Sprintf("; each replacement %.2f s", took.Seconds())
	d.add(line)
	return nil
}

// replacements returns how long one took, on average.
func (in *instance) replacements(ctx context.Context, theseusd string, n int) (each time.Duration, err error) {
	began := time.Now()
	for i := range n {
		if err := in.replaceDaemon(ctx, theseusd); err != nil {
			return 0, fmt.Errorf("replacement %d: %w", i+1, err)
		}
	}
	return time.Since(began) / time.Duration(n), nil
}

// replaceDaemon returns when the new daemon is in charge.
func (in *instance) replaceDaemon(ctx context.Context, theseusd string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := in.ReplaceDaemon(ctx, control.ReplaceRequest{Path: theseusd, Again: true, By: "drill"})
	if err != nil {
		return err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		d, err := in.Daemon(ctx)
		if err == nil && d.Last != nil && d.Last.ID == r.ID && d.Last.State != r.State {
			switch d.Last.State {
			case "replaced":
				return nil
			case "failed":
				return errors.New(d.Last.Error)
			}
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}
