package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxWrong = 5                     // that are told
	every    = 40 * time.Millisecond // between two writes, and two reads
	answers  = 4 * time.Second       // how long one is waited for
)

// client writes and reads all the time, over connections that it keeps, and knows what was acknowledged. What it does
// not expect from an instance that loses nothing it notes as a violation.
type client struct {
	lines lines

	turn sync.Mutex // held during a write, and by those who want to have none

	mu     sync.Mutex
	ledger [keys]account
	seen   map[string]int // answers by version since the mark
	wrong  []error
	lost   int // requests without an answer
}

func newClient(addr string) *client {
	return &client{lines: lines{addr: addr}, seen: map[string]int{}}
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
	c.lines.close()
}

func (c *client) write(ctx context.Context, key int) {
	c.turn.Lock()
	defer c.turn.Unlock()
	path := "/add/"
	if byMail(key) {
		path = "/mail/"
	}
	got, err := c.ask(ctx, http.MethodPost, path, key)
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &c.ledger[key]
	if err != nil {
		a.unsure++
		c.lost++
		return
	}
	c.seen[got.version]++
	if byMail(key) {
		a.mail++
		a.fresh++
		return
	}
	if got.n <= a.acked || got.n > a.most()+1 {
		c.wrong = append(c.wrong, fmt.Errorf("counter %d: a write by %s made it %d, want %d to %d", key, got.version, got.n, a.acked+1, a.most()+1))
	}
	c.held(key, got)
	a.count(got.n - 1)
	a.acked = got.n
}

// read asks for a counter, which must not be older than what was acknowledged before the question.
func (c *client) read(ctx context.Context, key int) {
	c.mu.Lock()
	least := c.ledger[key].acked
	c.mu.Unlock()
	got, err := c.ask(ctx, http.MethodGet, "/get/", key)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.lost++
		return
	}
	c.seen[got.version]++
	if got.n < least {
		c.wrong = append(c.wrong, fmt.Errorf("counter %d: %s answered %d after %d was acknowledged: stale or lost", key, got.version, got.n, least))
	}
	c.held(key, got)
}

// held notes who bears the name of a counter. It must be the same process for ever.
func (c *client) held(key int, got reply) {
	a := &c.ledger[key]
	if a.holder == "" {
		a.holder = got.holder
	}
	if a.holder != got.holder {
		c.wrong = append(c.wrong, fmt.Errorf("counter %d was process %s, and for %s it is %s", key, a.holder, got.version, got.holder))
	}
}

// reply is what the service says of a counter.
type reply struct {
	version string
	n       int64
	holder  string // the process; "" if it is a row
}

func (c *client) ask(ctx context.Context, method, path string, key int) (r reply, err error) {
	text, err := c.lines.do(ctx, method, path+strconv.Itoa(key))
	if err != nil {
		return r, err
	}
	words := strings.Fields(text)
	if len(words) < 2 {
		return r, fmt.Errorf("the answer is %q", text)
	}
	r.version, r.holder = words[0], strings.Join(words[2:], " ")
	r.n, err = strconv.ParseInt(words[1], 10, 64)
	return r, err
}

// fill has a new segment of the log begun.
func (c *client) fill(ctx context.Context) error {
	_, err := c.lines.do(ctx, http.MethodPost, "/fill")
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
