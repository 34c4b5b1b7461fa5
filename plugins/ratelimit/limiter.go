package main

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/theseusd/theseus/plugins/ratelimit/internal/limit"
)

// Bounds of one call.
const (
	maxKey  = 1024 // bytes
	maxAsks = 32   // limits at once
)

var (
	errKey  = fmt.Errorf("a key has 1 to %d bytes", maxKey)
	errAsks = fmt.Errorf("a call names 1 to %d limits", maxAsks)
	errBack = errors.New("there is no such lease")
)

// ask is one limit that a call wants to pass.
type ask struct {
	policy policy
	key    string
	cost   int64
}

// row is the key of its row.
func (a ask) row() string { return a.policy.name + "\x00" + a.key }

// answer is what became of an ask.
type answer struct {
	limit.Decision
	ask   ask
	lease uint64 // of a concurrency limit that allowed something
}

// limiter is the tables and what makes a call over several rows atomic: whoever changes a row holds its lock.
type limiter struct {
	tables   tables
	policies *policies
	clock    *limit.Clock
	locks    [256]sync.Mutex
	seed     maphash.Seed
}

func newLimiter(t tables, p *policies) *limiter {
	return &limiter{tables: t, policies: p, clock: limit.NewClock(nil), seed: maphash.MakeSeed()}
}

func (l *limiter) slot(row string) uint8 { return uint8(maphash.String(l.seed, row)) }

// check asks for all limits at once: either all of them allow it and each is charged, or none is. With look nothing is
// charged, and the answers are those that a charge would have got.
func (l *limiter) check(asks []ask, look bool) (answers []answer, allowed bool, err error) {
	if len(asks) == 0 || len(asks) > maxAsks {
		return nil, false, errAsks
	}
	for _, a := range asks {
		if a.key == "" || len(a.key) > maxKey {
			return nil, false, errKey
		}
	}
	defer l.lock(asks)()
	c := charge{l: l, now: l.clock.Now()}
	allowed, err = c.take(asks)
	if err == nil && !allowed {
		err = c.lookAgain()
	}
	if err == nil && allowed && !look {
		err = c.write()
	}
	return c.answers, allowed, err
}

// lock locks the rows of all asks, always in the same order. The function that it returns unlocks them.
func (l *limiter) lock(asks []ask) (unlock func()) {
	if len(asks) == 1 {
		mu := &l.locks[l.slot(asks[0].row())]
		mu.Lock()
		return mu.Unlock
	}
	slots := make([]uint8, len(asks))
	for i, a := range asks {
		slots[i] = l.slot(a.row())
	}
	slices.Sort(slots)
	slots = slices.Compact(slots)
	for _, s := range slots {
		l.locks[s].Lock()
	}
	return func() {
		for _, s := range slots {
			l.locks[s].Unlock()
		}
	}
}

// charge is one call at one instant, under the locks of its rows.
type charge struct {
	l       *limiter
	now     int64
	answers []answer
	rows    []pending
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
		id := rand.Uint64()
		row := a.row()
		before, err := c.read(a, row)
		if err != nil {
			return false, err
		}
		next, until, d, err := a.policy.Take(nil, before, c.now, a.cost, id)
		if err != nil {
			return false, err
		}
		if a.policy.Algorithm != limit.Concurrency || !d.Allowed || a.cost == 0 {
			id = 0
		}
		c.answers = append(c.answers, answer{d, a, id})
		c.rows = append(c.rows, pending{row, next, until})
		allowed = allowed && d.Allowed
	}
	return allowed, nil
}

// read is the row of an ask: as an ask before it will leave it, or as it lies in the table.
func (c *charge) read(a ask, row string) ([]byte, error) {
	for i := len(c.rows) - 1; i >= 0; i-- {
		if c.rows[i].row == row && c.answers[i].ask.policy.Algorithm == a.policy.Algorithm {
			return c.rows[i].next, nil
		}
	}
	before, _, err := c.l.tables[a.policy.Algorithm].Lookup(row)
	return before, err
}

// lookAgain corrects the answers of limits that would have allowed it: they are not charged after all.
func (c *charge) lookAgain() error {
	for i := range c.answers {
		a := &c.answers[i]
		if !a.Allowed {
			continue
		}
		before, _, err := c.l.tables[a.ask.policy.Algorithm].Lookup(a.ask.row())
		if err != nil {
			return err
		}
		_, _, d, err := a.ask.policy.Take(nil, before, c.now, 0, 0)
		if err != nil {
			return err
		}
		a.Decision, a.lease = d, 0
	}
	return nil
}

// write puts the rows in the log. If the log takes no more, those before the error stay charged.
func (c *charge) write() error {
	for i, p := range c.rows {
		a := c.answers[i].ask
		if a.cost == 0 || !c.answers[i].Allowed {
			continue
		}
		if err := c.l.tables[a.policy.Algorithm].PutUntil(p.row, p.next, time.Unix(0, p.until)); err != nil {
			return err
		}
	}
	return nil
}
