package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxWrong = 5                     // that are told
	keys     = 8                     // counters that are written to, one after another
	every    = 40 * time.Millisecond // between two writes, and two reads
	answers  = 4 * time.Second       // how long one is waited for
)

// client writes and reads all the time, over connections that it keeps, and knows what was acknowledged. What it does
// not expect from an instance that loses nothing it notes as a violation.
type client struct {
	addr string
	http *http.Client

	turn sync.Mutex // held during a write, and by those who want to have none

	mu     sync.Mutex
	ledger [keys]account
	seen   map[string]int // answers by version since the mark
	wrong  []error
	lost   int // requests without an answer
}

// account is what is known of one counter.
type account struct {
	acked   int64
	unsure  int64 // sent since the last look, without an answer: each may count or not
	overdue int64 // likewise, before that: the last chance to count is over at the next look
}

func (a account) most() int64 { return a.acked + a.unsure + a.overdue }

func newClient(addr string) *client {
	return &client{
		addr: "http://" + addr, seen: map[string]int{},
		http: &http.Client{Timeout: answers, Transport: &http.Transport{MaxIdleConnsPerHost: 4}},
	}
}

// run writes and reads until ctx ends.
func (c *client) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, once := range []func(context.Context, int){c.write, c.read} {
		wg.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for i := 0; ctx.Err() == nil; i++ {
				once(ctx, i%keys)
				select {
				case <-ctx.Done():
				case <-tick.C:
				}
			}
		})
	}
	wg.Wait()
	c.http.CloseIdleConnections()
}

func (c *client) write(ctx context.Context, key int) {
	c.turn.Lock()
	defer c.turn.Unlock()
	version, n, err := c.ask(ctx, http.MethodPost, "/add/", key)
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &c.ledger[key]
	if err != nil {
		a.unsure++
		c.lost++
		return
	}
	c.seen[version]++
	if n <= a.acked || n > a.most()+1 {
		c.wrong = append(c.wrong, fmt.Errorf("counter %d: a write by %s made it %d, want %d to %d", key, version, n, a.acked+1, a.most()+1))
	}
	a.count(n - 1)
	a.acked = n
}

// count is what the counter turned out to be without the write that has just been answered.
func (a *account) count(n int64) {
	more := n - a.acked
	late := min(max(more, 0), a.overdue)
	a.overdue -= late
	a.unsure -= min(max(more-late, 0), a.unsure)
	a.acked = n
}

// read asks for a counter, which must not be older than what was acknowledged before the question.
func (c *client) read(ctx context.Context, key int) {
	c.mu.Lock()
	least := c.ledger[key].acked
	c.mu.Unlock()
	version, n, err := c.ask(ctx, http.MethodGet, "/get/", key)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.lost++
		return
	}
	c.seen[version]++
	if n < least {
		c.wrong = append(c.wrong, fmt.Errorf("counter %d: %s answered %d after %d was acknowledged: stale or lost", key, version, n, least))
	}
}

func (c *client) ask(ctx context.Context, method, path string, key int) (version string, n int64, err error) {
	text, err := c.do(ctx, method, path+strconv.Itoa(key))
	if err != nil {
		return "", 0, err
	}
	version, number, _ := strings.Cut(text, " ")
	n, err = strconv.ParseInt(number, 10, 64)
	return version, n, err
}

func (c *client) do(ctx context.Context, method, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.addr+path, nil)
	if err != nil {
		return "", err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close() // it is read to its end
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", res.StatusCode, text)
	}
	return string(text), err
}

// fill has a new segment of the log begun.
func (c *client) fill(ctx context.Context) error {
	_, err := c.do(ctx, http.MethodPost, "/fill")
	return err
}

// mark begins to count anew who answers.
func (c *client) mark() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = map[string]int{}
}

// answered tells how often a version has, since the mark.
func (c *client) answered(version string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[version]
}

// audit looks at every counter, while nothing is written, and returns what was wrong since the last time, and which
// version answered.
func (c *client) audit(ctx context.Context) (version string, err error) {
	c.turn.Lock()
	defer c.turn.Unlock()
	var errs []error
	for key := range keys {
		v, n, err := c.ask(ctx, http.MethodGet, "/get/", key)
		if err != nil {
			return "", fmt.Errorf("counter %d: %w", key, err)
		}
		if version == "" {
			version = v
		}
		if v != version {
			errs = append(errs, fmt.Errorf("%s and %s answer at the same time", version, v))
		}
		errs = append(errs, c.look(key, n))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	errs = append(errs, c.wrong[:min(len(c.wrong), maxWrong)]...)
	c.wrong = nil
	return version, errors.Join(errs...)
}

// look compares a counter with what was acknowledged.
func (c *client) look(key int, n int64) (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &c.ledger[key]
	switch {
	case n < a.acked:
		err = fmt.Errorf("counter %d is %d, %d was acknowledged: lost", key, n, a.acked)
	case n > a.most():
		err = fmt.Errorf("counter %d is %d, %d was acknowledged and %d more were sent: counted twice", key, n, a.acked, a.most()-a.acked)
	}
	a.count(n)
	a.overdue, a.unsure = a.unsure, 0
	return err
}
