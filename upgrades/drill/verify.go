package drill

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// shape says whether rows have a last_seen.
type shape bool

const (
	shape1 shape = false // visits 1.x
	shape2 shape = true  // visits 2.x
)

// verify reads every row of the ledger over HTTP, one by one, and compares it: there once, with the acknowledged
// count, in the right shape. It returns up to ten errors.
func verify(ctx context.Context, addr string, l *ledger, s shape) []error {
	const clients = 4
	var wait sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	found := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if len(errs) < 10 {
			errs = append(errs, err)
		}
	}
	for w := range clients {
		from, to := len(l.acked)*w/clients, len(l.acked)*(w+1)/clients
		wait.Go(func() {
			if err := verifyRange(ctx, addr, l, s, from, to, found); err != nil {
				found(fmt.Errorf("verify: %w", err))
			}
		})
	}
	wait.Wait()
	return errs
}

func verifyRange(ctx context.Context, addr string, l *ledger, s shape, from, to int, found func(error)) error {
	const batch = 200 // requests on their way
	c, err := dialHTTP(addr)
	if err != nil {
		return err
	}
	defer c.close()
	for ; from < to; from += batch {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := verifyBatch(c, l, s, from, min(from+batch, to), found); err != nil {
			return err
		}
	}
	return nil
}

func verifyBatch(c *httpConn, l *ledger, s shape, from, to int, found func(error)) error {
	for i := from; i < to; i++ {
		c.put("GET", "/visits/"+user(i), nil)
	}
	if err := c.flush(); err != nil {
		return err
	}
	for i := from; i < to; i++ {
		status, body, err := c.next()
		if err != nil {
			return err
		}
		count, err := readRow(i, status, body, s)
		if err == nil {
			err = l.check(i, count)
			l.settle(i, count)
		}
		if err != nil {
			found(err)
		}
	}
	return nil
}

// readRow takes a row apart, whose form is known to the byte.
func readRow(i, status int, body []byte, s shape) (count int64, err error) {
	if status != 200 {
		return 0, fmt.Errorf("%s: status %d: %.100s", user(i), status, body)
	}
	head := append(appendUser([]byte(`{"user":"`), i), `","count":`...)
	rest, ok := bytes.CutPrefix(bytes.TrimSuffix(body, []byte("\n")), head)
	if !ok {
		return 0, fmt.Errorf("%s was answered with %.100s", user(i), body)
	}
	digits := bytes.IndexAny(rest, ",}")
	if digits < 0 || !s.ends(rest[digits:]) {
		return 0, fmt.Errorf("%s: the wrong shape: %.100s", user(i), body)
	}
	return strconv.ParseInt(string(rest[:digits]), 10, 64)
}

// ends tells whether a row of the shape ends so, after its count.
func (s shape) ends(rest []byte) bool {
	if s == shape1 {
		return string(rest) == "}"
	}
	seen, ok := bytes.CutPrefix(rest, []byte(`,"last_seen":"`))
	seen, closed := bytes.CutSuffix(seen, []byte(`"}`))
	_, err := time.Parse(time.RFC3339, string(seen))
	return ok && closed && err == nil
}
