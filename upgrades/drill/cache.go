package drill

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	pipeline = 16 // commands that a client of the cache sends at once
	keyHours = 24 // that a key has to live
)

// keys upgrades the cache and rolls it back in its probation, with a table full of keys that are to end one day, under
// clients that pipeline. Each knows what each answer must be.
func keys(ctx context.Context, d *drill) (err error) {
	in, err := d.fresh(ctx, "keys")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.stop()) }()
	if err := setKeys(in.resp, d.Rows); err != nil {
		return err
	}
	to, err := in.release(ctx, d.Packages.Cache2)
	if err != nil {
		return err
	}
	all, err := startPipers(ctx, in.resp, respClients)
	if err != nil {
		return err
	}
	var samples []sample
	for len(samples) < d.Reps && err == nil {
		var s sample
		s, err = backAndForth(ctx, in, all, to, !d.Quick || len(samples) == 0)
		samples = append(samples, s)
	}
	served, errs := all.stop()
	line := Line{Name: fmt.Sprintf("%d clients that pipeline, %d keys in the cache", respClients, d.Rows), Figures: map[string]float64{}}
	line.Goal = fmt.Sprintf("0 errors, 0 wrong answers, pause <= %.0f ms", ms(pauseGoal))
	d.broken(&line, errs...)
	p := summary(d.Rows, samples)
	p.What = "keys"
	d.report.Pauses = append(d.report.Pauses, p)
	line.Missed = max(p.OwnUp, p.OwnDown) > ms(pauseGoal)
	line.Figures["commands"], line.Figures["failed"] = float64(served), float64(len(errs))
	line.Figures["daemon_upgrade_ms"], line.Figures["daemon_rollback_ms"] = p.OwnUp, p.OwnDown
	line.Text = fmt.Sprintf("%d commands, %d failed; pause %.1f and %.1f ms, longest wait of a client %.1f and %.1f ms (%.1f ms without)",
		served, len(errs), p.OwnUp, p.OwnDown, p.Upgrade, p.Rollback, p.Quiet)
	d.add(line)
	return err
}

// setKeys sets n keys that end.
func setKeys(addr string, n int) error {
	c, err := dialRESP(addr)
	if err != nil {
		return err
	}
	defer c.close()
	value, ttl := strings.Repeat("v", 100), fmt.Sprint(keyHours*3600)
	sent := make(chan error, 1)
	go func() {
		w := bufio.NewWriterSize(c.conn, 1<<20)
		for i := range n {
			_, _ = fmt.Fprintf(w, "*5\r\n$3\r\nSET\r\n$32\r\n%032d\r\n$%d\r\n%s\r\n$2\r\nEX\r\n$%d\r\n%s\r\n", i, len(value), value, len(ttl), ttl)
		}
		sent <- w.Flush()
	}()
	for i := range n {
		_ = c.conn.SetReadDeadline(time.Now().Add(patience))
		if line, err := c.in.ReadString('\n'); err != nil || line != "+OK\r\n" {
			return fmt.Errorf("key %d: %.100q: %w", i, line, errors.Join(err, errNotSet))
		}
	}
	return <-sent
}

var errNotSet = errors.New("it was not set")

// pipers are clients of the cache, each with a connection, a key and a count of its own.
type pipers struct {
	cancel context.CancelFunc
	wait   sync.WaitGroup

	mu     sync.Mutex
	gaps   []gap
	errs   []error
	served int64
}

func startPipers(ctx context.Context, addr string, n int) (*pipers, error) {
	ctx, cancel := context.WithCancel(ctx)
	p := &pipers{cancel: cancel}
	for i := range n {
		c, err := dialRESP(addr)
		if err != nil {
			p.stop()
			return nil, err
		}
		p.wait.Go(func() { p.run(ctx, c, fmt.Sprintf("piper-%d", i)) })
	}
	return p, pass(ctx, settled)
}

func (p *pipers) run(ctx context.Context, c *respConn, key string) {
	defer c.close()
	count, last := int64(0), time.Now()
	for ctx.Err() == nil {
		err := c.incrMany(key, count, pipeline)
		now := time.Now()
		p.note(gap{last, now}, err)
		if err != nil {
			return
		}
		count, last = count+pipeline, now
	}
}

// incrMany adds one to a number many times at once, and looks at each answer.
func (c *respConn) incrMany(key string, before int64, n int) error {
	_ = c.conn.SetDeadline(time.Now().Add(patience))
	one := fmt.Sprintf("*2\r\n$4\r\nINCR\r\n$%d\r\n%s\r\n", len(key), key)
	if _, err := c.conn.Write([]byte(strings.Repeat(one, n))); err != nil {
		return err
	}
	for i := range int64(n) {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if want := fmt.Sprintf(":%d\r\n", before+i+1); line != want {
			return fmt.Errorf("INCR %s: %.100q, want %q", key, line, want)
		}
	}
	return nil
}

func (p *pipers) note(g gap, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.errs = append(p.errs, err)
		return
	}
	p.served += pipeline
	if g.to.Sub(g.from) >= notable {
		p.gaps = append(p.gaps, g)
	}
}

func (p *pipers) longest(from, to time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return longest(p.gaps, from, to)
}

// stop ends all of them.
func (p *pipers) stop() (served int64, errs []error) {
	p.cancel()
	p.wait.Wait()
	return p.served, p.errs
}
