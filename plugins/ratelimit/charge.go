package main

import (
	"math/rand/v2"
	"time"

	"github.com/theseusd/theseus/plugins/ratelimit/internal/limit"
	"github.com/theseusd/theseus/sdk/state"
)

// charge is one call at one instant, under the locks of its rows.
type charge struct {
	l       *limiter
	now     int64
	rows    []pending // one for each ask
	answers []answer  // to the asks so far
}

// pending is a row as it is to be written.
type pending struct {
	row   string
	next  []byte
	until int64
}

// take decides about each ask, as if those before it were charged already.
func (c *charge) take(asks []ask) (allowed bool, err error) {
	allowed = true
	for _, a := range asks {
		if err := c.takeOne(a); err != nil {
			return false, err
		}
		allowed = allowed && !c.answers[len(c.answers)-1].blocks()
	}
	return allowed, nil
}

func (c *charge) takeOne(a ask) error {
	row := &c.rows[len(c.answers)]
	before, err := c.read(a, row.row)
	if err != nil {
		return err
	}
	next, until, got, err := take(a, before, c.now)
	if err != nil {
		return err
	}
	c.answers = append(c.answers, got)
	row.next, row.until = next, until
	return nil
}

// take decides about an ask by its row.
func take(a ask, before []byte, now int64) (next []byte, until int64, got answer, err error) {
	lease := uint64(0)
	if a.rule.Algorithm == limit.Concurrency {
		lease = max(rand.Uint64(), 1)
	}
	next, until, d, err := a.rule.Take(nil, before, now, a.cost, lease)
	got = answer{d, a, lease}
	if !got.charges() {
		got.lease = 0
	}
	return next, until, got, err
}

// read is the row of an ask: as an ask before it will leave it, or as it lies in the table.
func (c *charge) read(a ask, row string) ([]byte, error) {
	for i := len(c.answers) - 1; i >= 0; i-- {
		if c.rows[i].row == row && c.answers[i].ask.rule.Algorithm == a.rule.Algorithm {
			return c.rows[i].next, nil
		}
	}
	before, _, err := c.l.tables[a.rule.Algorithm].Lookup(row)
	return before, err
}

// lookAgain corrects the answers of limits that would have allowed it: they are not charged after all.
func (c *charge) lookAgain() error {
	for i := range c.answers {
		a := &c.answers[i]
		if !a.charges() {
			continue
		}
		before, _, err := c.l.tables[a.ask.rule.Algorithm].Lookup(c.rows[i].row)
		if err != nil {
			return err
		}
		_, _, d, err := a.ask.rule.Take(nil, before, c.now, 0, 0)
		if err != nil {
			return err
		}
		a.Decision, a.lease = d, 0
	}
	return nil
}

// write puts the rows in the log, all or none.
func (c *charge) write() error {
	var b state.Batch
	for i, p := range c.rows {
		if !c.answers[i].charges() {
			continue
		}
		table := c.l.tables[c.answers[i].ask.rule.Algorithm]
		if err := table.PutIn(&b, p.row, p.next, time.Unix(0, p.until)); err != nil {
			return err
		}
	}
	return b.Commit()
}
