package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades"
)

const (
	chatRooms     = 200
	crashEvery    = 40 * time.Millisecond // so that no room crashes more often than its supervisor takes
	chatDelayGoal = 250 * time.Millisecond
)

// chat upgrades the chat and rolls it back again and again under clients that look at each offset, and has its rooms crash.
func chat(ctx context.Context, d *drill) (err error) {
	in, err := d.fresh(ctx, "chat", d.Packages.Chat1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.stop()) }()
	verbs, err := control.DialService(in.dir, "chat")
	if err != nil {
		return err
	}
	to, err := in.release(ctx, d.Packages.Chat2)
	if err != nil {
		return err
	}
	c, err := d.gather(ctx, in.chat, verbs)
	if err != nil {
		return err
	}
	quiet := c.during(func() error { return pass(ctx, 5*settled) })
	var pauses []time.Duration
	upgraded := c.during(func() error {
		for i := range d.Upgrades {
			up, down, err := chatBackAndForth(ctx, in, to)
			if err != nil {
				return fmt.Errorf("upgrade %d: %w", i+1, err)
			}
			pauses = append(pauses, up, down)
		}
		return nil
	})
	slices.Sort(pauses)
	upgraded.err = errors.Join(upgraded.err, pass(ctx, 5*settled)) // what was said meanwhile has been heard
	crashed := c.during(func() error { return crashRooms(ctx, verbs, d.Clients/10) })
	sum := c.end()
	if err := errors.Join(quiet.err, upgraded.err, crashed.err); err != nil {
		return err
	}
	d.tellChat(sum, int(c.joins.Load()-d.joins()), pauses, quiet, upgraded, crashed)
	return nil
}

// gather makes the rooms and brings the clients into them.
func (d *drill) gather(ctx context.Context, addr string, verbs *control.Service) (*crowd, error) {
	for n := range chatRooms {
		if _, err := verbs.Call(ctx, "create", "room", roomName(n)); err != nil {
			return nil, err
		}
	}
	c := newCrowd()
	for n := range d.Clients {
		if err := c.enter(ctx, addr, roomName(n%chatRooms), n < chatRooms); err != nil {
			_ = c.end()
			return nil, fmt.Errorf("client %d: %w", n, err)
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("the speakers do not see everybody join"))
	defer cancel()
	for c.joins.Load() < d.joins() {
		if err := pass(ctx, settled/10); err != nil {
			return nil, errors.Join(err, c.end().first)
		}
	}
	return c, nil
}

// joins is how many the speakers see join, each those who come after it.
func (d *drill) joins() int64 { return int64(max(d.Clients-chatRooms, 0)) }

func roomName(n int) string { return fmt.Sprintf("room-%d", n) }

// chatBackAndForth is an upgrade, and its rollback in the probation.
func chatBackAndForth(ctx context.Context, in *instance, to string) (up, down time.Duration, err error) {
	u := in.upgrade(ctx, to)
	if err := u.reached(ctx, string(upgrades.Probation)); err != nil {
		return 0, 0, err
	}
	if err := in.rollback(ctx).end(ctx); err != nil {
		return 0, 0, fmt.Errorf("rollback: %w", err)
	}
	_ = u.end(ctx) // it tells that it was rolled back, which is what was asked for
	return u.pause("serving"), u.pause(string(upgrades.RolledBack)), nil
}

func crashRooms(ctx context.Context, verbs *control.Service, times int) error {
	tick := time.NewTicker(crashEvery)
	defer tick.Stop()
	for n := range times {
		if _, err := verbs.Call(ctx, "crash", "room", roomName(n*7%chatRooms)); err != nil {
			return fmt.Errorf("crash %d: %w", n+1, err)
		}
		<-tick.C
	}
	return nil
}

func (d *drill) tellChat(sum tally, joined int, pauses []time.Duration, quiet, upgraded, crashed *delays) {
	line := Line{
		Name: fmt.Sprintf("%d upgrades of the chat and as many rollbacks, then %d crashes of rooms, under %d clients in %d rooms",
			d.Upgrades, d.Clients/10, d.Clients, chatRooms),
		Goal: fmt.Sprintf("0 closed, lost, twice or out of order; a message is late by at most %.0f ms p99.9", ms(chatDelayGoal)),
		Figures: map[string]float64{
			"closed": float64(sum.closed), "lost": float64(sum.lost), "twice": float64(sum.twice), "joined": float64(joined),
			"left": float64(sum.left), "heard": float64(sum.heard),
		},
	}
	line.Figures["pause_ms"], line.Figures["longest_pause_ms"] = median(pauses), ms(pauses[len(pauses)-1])
	line.Text = fmt.Sprintf("%d messages heard, %d lost, %d twice or out of order, %d closed, %d seen to join and %d to leave; pause %.1f ms, longest %.1f ms; late by p99 and p99.9",
		sum.heard, sum.lost, sum.twice, sum.closed, joined, sum.left, median(pauses), ms(pauses[len(pauses)-1]))
	for _, w := range []struct {
		name string
		*delays
	}{{"without", quiet}, {"upgrades", upgraded}, {"crashes", crashed}} {
		p99, p999 := w.quantile(0.99), w.quantile(0.999)
		line.Figures[w.name+"_p99_ms"], line.Figures[w.name+"_p99.9_ms"] = ms(p99), ms(p999)
		line.Text += fmt.Sprintf("; %s: %.1f and %.1f ms", w.name, ms(p99), ms(p999))
	}
	line.Missed = upgraded.quantile(0.999) > chatDelayGoal
	if sum.closed+sum.lost+sum.twice+joined+sum.left > 0 {
		d.broken(&line, errors.New("clients were disturbed"), sum.first)
	}
	d.add(line)
}
