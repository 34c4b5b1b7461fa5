package drill

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// probe is the client whose pauses count: one connection on which one request follows the other, each a visit. Its
// count must grow by exactly one each time, whichever version answers.
type probe struct {
	every  time.Duration // from an answer to the next request
	cancel context.CancelFunc
	wait   sync.WaitGroup

	mu    sync.Mutex
	gaps  []gap
	count int64
	err   error
}

// gap is the time between two answers.
type gap struct{ from, to time.Time }

// notable gaps are kept; shorter ones are no pause.
const notable = 100 * time.Microsecond

func startProbe(ctx context.Context, addr, name string) (*probe, error) {
	return startCalmProbe(ctx, addr, name, 0)
}

// startCalmProbe leaves the processors to others for a while after each answer.
func startCalmProbe(ctx context.Context, addr, name string, every time.Duration) (*probe, error) {
	c, err := dialHTTP(addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &probe{every: every, cancel: cancel}
	p.wait.Go(func() {
		defer c.close()
		err := p.run(ctx, c, name)
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
	})
	return p, nil
}

func (p *probe) run(ctx context.Context, c *httpConn, name string) error {
	last, count := time.Now(), int64(0)
	for ctx.Err() == nil {
		n, err := hit(c, name)
		if err != nil {
			return err
		}
		if count > 0 && n != count+1 {
			return fmt.Errorf("%s: visit %d was answered with %d", name, count+1, n)
		}
		count = n
		now := time.Now()
		p.note(gap{last, now}, n)
		if p.every > 0 {
			_ = pass(ctx, p.every)
			now = time.Now()
		}
		last = now
	}
	return nil
}

func (p *probe) note(g gap, count int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count = count
	if g.to.Sub(g.from) >= notable {
		p.gaps = append(p.gaps, g)
	}
}

// hit is one visit; it returns the count that was answered.
func hit(c *httpConn, name string) (int64, error) {
	body, err := c.do("POST", "/visits/"+name, nil)
	if err != nil {
		return 0, err
	}
	var row struct {
		User  string `json:"user"`
		Count int64  `json:"count"`
	}
	if err := json.Unmarshal(body, &row); err != nil {
		return 0, fmt.Errorf("POST /visits/%s: %w: %.100q", name, err, body)
	}
	if row.User != name {
		return 0, fmt.Errorf("POST /visits/%s was answered for %q", name, row.User)
	}
	return row.Count, nil
}

// longest is the longest gap that has a part in the window.
func (p *probe) longest(from, to time.Time) (d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return longest(p.gaps, from, to)
}

func longest(gaps []gap, from, to time.Time) (d time.Duration) {
	for _, g := range gaps {
		if g.to.After(from) && g.from.Before(to) {
			d = max(d, g.to.Sub(g.from))
		}
	}
	return d
}

// stop ends the probe and returns how many visits were answered, and what went wrong.
func (p *probe) stop() (int64, error) {
	p.cancel()
	p.wait.Wait()
	return p.count, p.err
}
