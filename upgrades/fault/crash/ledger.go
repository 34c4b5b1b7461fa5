package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// keys are the counters that are written to, one after another: 0 to 3 are rows, 4 to 6 processes. The last one is a
// process too, and counts mail that waits for a timer.
const keys = 8

func byMail(key int) bool { return key == keys-1 }

// account is what is known of one counter: how far it may have come, and how far it must have.
type account struct {
	acked   int64
	unsure  int64     // sent since the last look, without an answer: each may count or not
	overdue int64     // likewise, before that: the last chance to count is over at the next look, for mail after mailTime
	mail    int64     // accepted, and perhaps not counted yet
	since   time.Time // when the last of what is overdue became so

	fresh int64 // mail that was accepted since the last look, without what was counted since
	must  int64 // likewise, before that: all of it counts by the next look, unless the service crashes

	holder string // the process that bears its name
}

// most is what the counter may be now.
func (a account) most() int64 { return a.acked + a.mail + a.unsure + a.overdue }

// count is what the counter turned out to be without the write that has just been answered. What it was that counted
// nobody knows: the bounds are those of the worst case.
func (a *account) count(n int64) {
	take(n-a.acked, &a.overdue, &a.unsure, &a.mail)
	take(n-a.acked, &a.must, &a.fresh)
	a.acked = n
}

func take(n int64, from ...*int64) {
	for _, f := range from {
		part := min(max(n, 0), *f)
		*f, n = *f-part, n-part
	}
}

// age begins the time until the next look. Mail that is on its way is lost if its process is killed; it need not be if another
// one was, so that it keeps its chance for as long as the mail is waited for: two looks may be less than a timer apart. A
// gentle time knows that nobody was killed.
func (a *account) age(gentle bool, patient time.Duration) {
	if time.Since(a.since) >= patient {
		a.overdue = 0
	}
	late := a.unsure
	if !gentle {
		late += a.mail
		a.mail, a.must, a.fresh = 0, 0, 0
	}
	if late > 0 {
		a.overdue, a.since = a.overdue+late, time.Now()
	}
	a.unsure = 0
	a.must, a.fresh = a.must+a.fresh, 0
}

const mailTime = 5 * time.Second // within which mail is counted, however busy the machine

// audit looks at every counter, while nothing is written, and returns what was wrong since the last time, and which
// version answered. In a gentle time no process of the service was killed or stopped.
func (c *client) audit(ctx context.Context, gentle bool) (version string, err error) {
	c.turn.Lock()
	defer c.turn.Unlock()
	var errs []error
	for key := range keys {
		got, err := c.settled(ctx, key, gentle)
		if err != nil {
			return "", fmt.Errorf("counter %d: %w", key, err)
		}
		if version == "" {
			version = got.version
		}
		if got.version != version {
			errs = append(errs, fmt.Errorf("%s and %s answer at the same time", version, got.version))
		}
		errs = append(errs, c.look(key, got, gentle))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	errs = append(errs, c.wrong[:min(len(c.wrong), maxWrong)]...)
	c.wrong = nil
	return version, errors.Join(errs...)
}

// settled asks for a counter, again as long as mail is due that may still be on its way.
func (c *client) settled(ctx context.Context, key int, gentle bool) (got reply, err error) {
	until := time.Now().Add(mailTime)
	for {
		got, err = c.ask(ctx, http.MethodGet, "/get/", key)
		c.mu.Lock()
		a := c.ledger[key]
		c.mu.Unlock()
		if err != nil || !gentle || got.n >= a.acked+a.must || time.Now().After(until) {
			return got, err
		}
		lull(ctx, nil, 0)
	}
}

// look compares a counter with what was acknowledged.
func (c *client) look(key int, got reply, gentle bool) (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &c.ledger[key]
	switch n := got.n; {
	case n < a.acked:
		err = fmt.Errorf("counter %d is %d, %d was acknowledged: lost", key, n, a.acked)
	case n < a.acked+a.must && gentle:
		err = fmt.Errorf("counter %d is %d, %d was acknowledged and %d more had mail: mail or a timer is lost", key, n, a.acked, a.must)
	case n > a.most():
		err = fmt.Errorf("counter %d is %d, %d was acknowledged and %d more were sent: counted twice", key, n, a.acked, a.most()-a.acked)
	}
	c.held(key, got)
	a.count(got.n)
	patient := time.Duration(0)
	if byMail(key) {
		patient = mailTime
	}
	a.age(gentle, patient)
	return err
}
