package drill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Writers share the rows: row i belongs to writer i mod writers.
const writers = 4

// load keeps writing until stop: every request is a list of visits, acknowledged together.
type load struct {
	ledger *ledger
	cancel context.CancelFunc
	wait   sync.WaitGroup
	began  time.Time

	mu   sync.Mutex
	rows uint64
	errs []error
}

// fill gives every row its first visit.
func fill(ctx context.Context, addr string, l *ledger) error {
	const batch = 5000
	var wait sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		wait.Go(func() {
			errs[w] = onePass(ctx, addr, l, w, batch)
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

func onePass(ctx context.Context, addr string, l *ledger, w, batch int) error {
	c, err := dialHTTP(addr)
	if err != nil {
		return err
	}
	defer c.close()
	for next := w; next < len(l.acked) && err == nil; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		next, err = visit(c, l, next, batch, false)
	}
	return err
}

// visit sends one list of n visits, to the rows from first on that belong to the same writer, and enters the answer.
// It returns the row that is next; with around it begins again at the end.
func visit(c *httpConn, l *ledger, first, n int, around bool) (next int, err error) {
	list, body := make([]int, 0, n), make([]byte, 0, n*13)
	next = first
	for len(list) < n && next < len(l.acked) {
		list = append(list, next)
		body = append(appendUser(body, next), '\n')
		if next += writers; next >= len(l.acked) && around {
			next %= writers
		}
	}
	answer, err := c.do("POST", "/visits", body)
	if want := fmt.Sprintf("{\"visits\":%d}\n", len(list)); err == nil && string(answer) != want {
		err = fmt.Errorf("POST /visits answered %q, want %q", answer, want)
	}
	for _, i := range list {
		if err == nil {
			l.acked[i]++
		} else {
			l.unsure[i]++
		}
	}
	return next, err
}

// startLoad begins to write rate rows a second. A writer whose connection breaks opens another one if again is true,
// and ends if not; in both cases stop tells.
func startLoad(ctx context.Context, addr string, l *ledger, rate int, again bool) *load {
	ctx, cancel := context.WithCancel(ctx)
	ld := &load{ledger: l, cancel: cancel, began: time.Now()}
	for w := range min(writers, len(l.acked)) {
		ld.wait.Go(func() { ld.write(ctx, addr, w, rate, again) })
	}
	return ld
}

func (ld *load) write(ctx context.Context, addr string, w, rate int, again bool) {
	for ctx.Err() == nil {
		err := ld.writeOn(ctx, addr, w, rate)
		if err == nil {
			return
		}
		ld.mu.Lock()
		ld.errs = append(ld.errs, err)
		ld.mu.Unlock()
		if !again {
			return
		}
	}
}

// writeOn writes over one connection until ctx ends. It keeps its rate: after a pause it does not hurry.
func (ld *load) writeOn(ctx context.Context, addr string, w, rate int) error {
	const batch = 100
	c, err := dialHTTP(addr)
	if err != nil {
		return err
	}
	defer c.close()
	tick := time.NewTicker(time.Second * batch * writers / time.Duration(rate))
	defer tick.Stop()
	for next := w; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if next, err = visit(c, ld.ledger, next, batch, true); err != nil {
			return err
		}
		ld.mu.Lock()
		ld.rows += batch
		ld.mu.Unlock()
	}
}

// stop ends the load. It returns the rows that were written, how many a second that were, and what went wrong.
func (ld *load) stop() (rows uint64, rate float64, errs []error) {
	ld.cancel()
	ld.wait.Wait()
	took := time.Since(ld.began).Seconds()
	return ld.rows, float64(ld.rows) / took, ld.errs
}
