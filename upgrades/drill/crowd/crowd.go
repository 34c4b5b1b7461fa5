// Package crowd is clients of the chat that look at all they hear, for drills and scripts.
//
//	Gather ──▶ connect, subscribe ──▶ listen ──▶ Tally
//	                  ▲                  │ cut, while Cut is at work
//	                  └──── recover ─────┘
//
// The room gives each message an offset and its speaker a number, so a client finds by both what it did not hear, or heard
// twice. Speakers take turns, evenly spread, so that there is always a message to be late. What was not acknowledged they say
// again under its id, as clients do that want it said once.
package crowd

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long is waited for whatever should come at once.
const patience = 30 * time.Second

var errDeaf = fmt.Errorf("crowd: the last words were not heard within %s", patience)

// Options of Gather.
type Options struct {
	Addr     string        // where the chat serves its clients
	Rooms    []string      // that are there; clients are dealt out to them in turn
	Clients  int           // how many
	Speakers int           // the first so many of them, at least one for each room
	Watchers int           // the first so many are told who comes and goes
	Every    time.Duration // between two messages of a speaker
}

// Crowd is clients in their rooms.
type Crowd struct {
	Options
	name                string // no other crowd has it
	all                 []*client
	listeners, speakers sync.WaitGroup
	ctx                 context.Context
	leave               context.CancelCauseFunc
	ending              chan struct{}
	cut                 atomic.Bool
	dial                func(context.Context) (net.Conn, *bufio.Reader, error)

	window                      atomic.Pointer[Window]
	joined, hearing, back, gone atomic.Int64
}

// Gather returns when all clients are in their rooms, and those who watch have seen it.
func Gather(ctx context.Context, o Options) (*Crowd, error) {
	c := newCrowd(o)
	if err := c.gather(ctx); err != nil {
		c.Disperse()
		return nil, err
	}
	return c, nil
}

func (c *Crowd) gather(ctx context.Context) error {
	for n := range c.Clients {
		m := c.client(n)
		if err := m.connect(ctx); err != nil {
			return fmt.Errorf("client %d: %w", n, err)
		}
		c.listeners.Go(m.listen)
	}
	return c.until(ctx, "those who watch see everybody join", func() bool { return c.joined.Load() >= c.joins() })
}

func newCrowd(o Options) *Crowd {
	o.Speakers, o.Watchers = min(o.Speakers, o.Clients), min(o.Watchers, o.Clients)
	c := &Crowd{Options: o, name: rand.Text()[:8], ending: make(chan struct{})}
	c.dial = c.dialWebSocket
	c.ctx, c.leave = context.WithCancelCause(context.Background())
	c.window.Store(new(Window))
	return c
}

// client adds the client with that number.
func (c *Crowd) client(n int) *client {
	at := n % len(c.Rooms)
	m := &client{
		crowd: c, number: n, user: fmt.Sprint("user", n), room: c.Rooms[at], watches: n < c.Watchers,
		heard: map[int]*numbers{}, ended: make(chan struct{}), speech: speech{open: map[int]word{}},
	}
	m.speakers = (c.Speakers - at + len(c.Rooms) - 1) / len(c.Rooms)
	c.all = append(c.all, m)
	return m
}

// joins is how many are seen to join, by each who watches those who come after it into its room.
func (c *Crowd) joins() (n int64) {
	for first := range c.Watchers {
		n += int64((c.Clients - 1 - first) / len(c.Rooms))
	}
	return n
}

// Disperse ends the clients at once.
func (c *Crowd) Disperse() {
	c.leave(nil)
	c.listeners.Wait()
	c.speakers.Wait()
}

// Speak has the speakers speak until End, each in its turn. It returns when each client has heard something.
func (c *Crowd) Speak(ctx context.Context) error {
	for n, m := range c.all[:c.Speakers] {
		c.speakers.Go(func() { m.speak(c.Every * time.Duration(n) / time.Duration(c.Speakers)) })
	}
	return c.until(ctx, "each client hears something", func() bool { return c.hearing.Load()+c.gone.Load() >= int64(len(c.all)) })
}

// Cut returns when each client is back, after do has cut its connection. From then on it does not count who comes and goes.
func (c *Crowd) Cut(ctx context.Context, do func() error) error {
	c.cut.Store(true)
	all := c.back.Load() + int64(len(c.all))
	if err := do(); err != nil {
		return err
	}
	return c.until(ctx, "all clients are back", func() bool { return c.back.Load()+c.gone.Load() >= all })
}

// End returns when everybody has heard the last words of its room, or does not hear them.
func (c *Crowd) End() (sum Tally) {
	close(c.ending)
	late := time.AfterFunc(patience, func() { c.leave(errDeaf) })
	defer late.Stop()
	c.listeners.Wait()
	c.speakers.Wait()
	c.leave(nil)
	for _, m := range c.all {
		sum.add(m.total())
	}
	sum.Clients, sum.Joined = len(c.all), int(c.joined.Load()-c.joins())
	return sum
}

// until waits for something that ought to be so soon.
func (c *Crowd) until(ctx context.Context, what string, so func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("crowd: waited %s until %s", patience, what))
	defer cancel()
	for tick := time.NewTicker(10 * time.Millisecond); !so(); {
		select {
		case <-ctx.Done():
			tick.Stop()
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	return nil
}
