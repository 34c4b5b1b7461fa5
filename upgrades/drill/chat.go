package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades"
	"github.com/theseusd/theseus/upgrades/drill/crowd"
)

const (
	chatRooms     = 200
	sayEvery      = time.Second           // in each room
	crashEvery    = 40 * time.Millisecond // so that no room crashes more often than its supervisor takes
	chatDelayGoal = 250 * time.Millisecond
)

// chat upgrades the chat and rolls it back again and again under clients that look at all they hear, has its rooms crash, and
// kills it.
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
	run := &chatRun{d: d, in: in, crowd: c, verbs: verbs, to: to}
	if err = c.Speak(ctx); err == nil {
		err = run.all(ctx)
	}
	sum := c.End()
	if err != nil {
		return errors.Join(err, sum.First)
	}
	run.tell(sum)
	return nil
}

// gather makes the rooms and brings the clients into them.
func (d *drill) gather(ctx context.Context, addr string, verbs *control.Service) (*crowd.Crowd, error) {
	rooms := make([]string, chatRooms)
	for n := range rooms {
		rooms[n] = fmt.Sprintf("room-%d", n)
		if _, err := verbs.Call(ctx, "create", "room", rooms[n]); err != nil {
			return nil, err
		}
	}
	return crowd.Gather(ctx, crowd.Options{
		Addr: addr, Rooms: rooms, Clients: d.Clients, Speakers: chatRooms, Watchers: chatRooms, Every: sayEvery,
	})
}

// chatRun is what is done to the chat, and what was seen meanwhile.
type chatRun struct {
	d     *drill
	in    *instance
	crowd *crowd.Crowd
	verbs *control.Service
	to    string // a release

	pauses []time.Duration
	back   time.Duration // from the kill until all clients were there again
	lines  []Line        // how late messages were
}

func (r *chatRun) all(ctx context.Context) error {
	for _, do := range []struct {
		name string
		goal time.Duration
		run  func(context.Context) error
	}{
		{"left alone", 0, func(context.Context) error { return nil }},
		{fmt.Sprintf("%d times upgraded and rolled back", r.d.Upgrades), chatDelayGoal, r.upgradeOften},
		{fmt.Sprintf("with %d crashes of rooms", r.crashes()), 0, r.crashRooms},
		{"killed by kill -9", 0, r.kill},
	} {
		w, err := r.crowd.During(func() error {
			return errors.Join(do.run(ctx), pass(ctx, 5*settled)) // what was said meanwhile has been heard
		})
		if err != nil {
			return fmt.Errorf("%s: %w", do.name, err)
		}
		r.lines = append(r.lines, lateness(w, "the chat "+do.name, do.goal))
	}
	return nil
}

// lateness tells how late messages were.
func lateness(w *crowd.Window, name string, goal time.Duration) Line {
	l := Line{Name: name + ": how late a message is"}
	if goal > 0 {
		l.Goal, l.Missed = fmt.Sprintf("<= %.0f ms p99.9", ms(goal)), w.Late(0.999) > goal
	}
	said, heard := w.Rates()
	p50, p99, p999, worst := ms(w.Late(0.5)), ms(w.Late(0.99)), ms(w.Late(0.999)), ms(w.Worst())
	l.Figures = map[string]float64{
		"p50_ms": p50, "p99_ms": p99, "p99.9_ms": p999, "worst_ms": worst, "messages_per_second": said, "deliveries_per_second": heard,
	}
	l.Text = fmt.Sprintf("p50 %.1f ms, p99 %.1f ms, p99.9 %.1f ms, worst %.1f ms, at %.0f messages and %.0f deliveries a second",
		p50, p99, p999, worst, said, heard)
	return l
}

func (r *chatRun) upgradeOften(ctx context.Context) error {
	for i := range r.d.Upgrades {
		up, down, err := chatBackAndForth(ctx, r.in, r.to)
		if err != nil {
			return fmt.Errorf("upgrade %d: %w", i+1, err)
		}
		r.pauses = append(r.pauses, up, down)
	}
	slices.Sort(r.pauses)
	return nil
}

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

func (r *chatRun) crashRooms(ctx context.Context) error {
	tick := time.NewTicker(crashEvery)
	defer tick.Stop()
	for n := range r.crashes() {
		if _, err := r.verbs.Call(ctx, "crash", "room", r.crowd.Rooms[n*7%chatRooms]); err != nil {
			return fmt.Errorf("crash %d: %w", n+1, err)
		}
		<-tick.C
	}
	return nil
}

func (r *chatRun) crashes() int { return r.d.Clients / 10 }

// kill kills the chat, and returns when all clients are back.
func (r *chatRun) kill(ctx context.Context) error {
	began := time.Now()
	err := r.crowd.Cut(ctx, func() error { return r.in.kill9(ctx, "chat") })
	r.back = time.Since(began)
	return err
}

func (r *chatRun) tell(sum crowd.Tally) {
	line := Line{
		Name: fmt.Sprintf("%d clients of the chat in %d rooms, over all of that", sum.Clients, chatRooms),
		Goal: "0 lost, twice or out of order, 0 closed but by the kill, after which each has what it missed",
		Figures: map[string]float64{
			"heard": float64(sum.Heard), "closed": float64(sum.Closed), "lost": float64(sum.Lost), "twice": float64(sum.Twice),
			"joined": float64(sum.Joined), "left": float64(sum.Left),
			"pause_ms": median(r.pauses), "longest_pause_ms": ms(r.pauses[len(r.pauses)-1]),
			"recovered": float64(sum.Recovered), "by_history": float64(sum.ByHistory), "back_ms": ms(r.back),
		},
	}
	line.Text = fmt.Sprintf("%d messages heard, %d lost, %d twice or out of order, %d closed, %d seen to join and %d to leave; "+
		"pause %.1f ms, longest %.1f ms; after the kill %d recovered and %d read the history, the last was back after %.2f s",
		sum.Heard, sum.Lost, sum.Twice, sum.Closed, sum.Joined, sum.Left, median(r.pauses), ms(r.pauses[len(r.pauses)-1]),
		sum.Recovered, sum.ByHistory, r.back.Seconds())
	if sum.Disturbed() {
		r.d.broken(&line, errors.New("clients were disturbed"), sum.First)
	}
	if back := sum.Recovered + sum.ByHistory; back != sum.Clients {
		r.d.broken(&line, fmt.Errorf("%d of %d clients came back once after the kill", back, sum.Clients))
	}
	for _, l := range append(r.lines, line) {
		r.d.add(l)
	}
}
