package main

import (
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/theseusd/theseus/plugins/ratelimit/internal/limit"
	"github.com/theseusd/theseus/sdk/clock"
)

// Bounds of one call.
const (
	maxKey  = 1024 // bytes
	maxAsks = 32   // limits at once
)

// What a caller has done wrong.
var (
	errKey   = fmt.Errorf("a key has 1 to %d bytes", maxKey)
	errAsks  = fmt.Errorf("a call names 1 to %d limits", maxAsks)
	errLease = errors.New("there is no such lease")
	errKind  = errors.New("only a concurrency limit has leases")
)

// limiter is the tables and what makes a call over several rows atomic: whoever changes a row holds its lock.
type limiter struct {
	tables   tables
	policies *policies
	blocked  blocked
	clock    *clock.Clock
	locks    [256]sync.Mutex
	seed     maphash.Seed
}

func newLimiter(t tables, p *policies) *limiter {
	return &limiter{tables: t, policies: p, clock: clock.New(), seed: maphash.MakeSeed()}
}

func (l *limiter) slot(row string) uint8 { return uint8(maphash.String(l.seed, row)) }

// check asks for all limits at once: either all of them allow it and each is charged, or none is. With look nothing is
// charged, and the answers are those that a charge would have got.
func (l *limiter) check(asks []ask, look bool) (verdict, error) {
	if len(asks) == 0 || len(asks) > maxAsks {
		return verdict{}, errAsks
	}
	for _, a := range asks {
		if err := checkKey(a.key); err != nil {
			return verdict{}, err
		}
	}
	var v verdict
	var err error
	if len(asks) == 1 && !look {
		v, err = l.decideOne(asks[0])
	} else {
		v, err = l.decide(asks, look)
	}
	if err == nil && !look {
		l.blocked.note(v)
	}
	return v, err
}

// decideOne is decide for one limit, as most calls name, with one look at the table.
func (l *limiter) decideOne(a ask) (verdict, error) {
	row := rowOf(a)
	mu := l.lockOf(row)
	mu.Lock()
	defer mu.Unlock()
	got := make([]answer, 1)
	_, err := l.tables[a.rule.Algorithm].UpdateUntil(row, func(before []byte, _ bool) (next []byte, at time.Time, err error) {
		var until int64
		next, until, got[0], err = take(a, before, l.clock.Now())
		if err == nil && !got[0].charges() {
			err = errNothing
		}
		return next, time.Unix(0, until), err
	})
	if err == errNothing { //nolint:errorlint // it is never wrapped
		err = nil
	}
	return verdict{!got[0].blocks(), got}, err
}

// errNothing says that there is nothing to write.
var errNothing = errors.New("nothing is charged")

func (l *limiter) decide(asks []ask, look bool) (verdict, error) {
	c := charge{l: l, answers: make([]answer, 0, len(asks)), rows: make([]pending, len(asks))}
	for i, a := range asks {
		c.rows[i].row = rowOf(a)
	}
	unlock := l.lock(c.rows)
	defer unlock()
	c.now = l.clock.Now()
	allowed, err := c.take(asks)
	switch {
	case err != nil:
	case !allowed:
		err = c.lookAgain()
	case !look:
		err = c.write()
	}
	return verdict{allowed, c.answers}, err
}

func checkKey(key string) error {
	if key == "" || len(key) > maxKey {
		return errKey
	}
	return nil
}

// lock locks rows, always in the same order. The function that it returns unlocks them.
func (l *limiter) lock(rows []pending) (unlock func()) {
	if len(rows) == 1 {
		mu := l.lockOf(rows[0].row)
		mu.Lock()
		return mu.Unlock
	}
	slots := make([]uint8, len(rows))
	for i, r := range rows {
		slots[i] = l.slot(r.row)
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

func (l *limiter) lockOf(row string) *sync.Mutex { return &l.locks[l.slot(row)] }

// refund gives back what a call has cost.
func (l *limiter) refund(a ask) error {
	return l.change(a, func(row []byte, now int64) ([]byte, int64, error) {
		return a.rule.Refund(nil, row, now, a.cost)
	})
}

// release ends a lease of a concurrency limit.
func (l *limiter) release(a ask, lease uint64) error {
	return l.lease(a, lease, limit.Policy.Release)
}

// renew lets a lease begin anew.
func (l *limiter) renew(a ask, lease uint64) error {
	return l.lease(a, lease, limit.Policy.Renew)
}

type leaseChange func(p limit.Policy, dst, row []byte, now int64, id uint64) ([]byte, int64, bool, error)

func (l *limiter) lease(a ask, id uint64, do leaseChange) error {
	if a.rule.Algorithm != limit.Concurrency {
		return errKind
	}
	return l.change(a, func(row []byte, now int64) ([]byte, int64, error) {
		next, until, found, err := do(a.rule.Policy, nil, row, now, id)
		if err == nil && !found {
			err = errLease
		}
		return next, until, err
	})
}

// change writes the row of an ask anew.
func (l *limiter) change(a ask, f func(row []byte, now int64) (next []byte, until int64, err error)) error {
	if err := checkKey(a.key); err != nil {
		return err
	}
	table, row := l.tables[a.rule.Algorithm], rowOf(a)
	mu := l.lockOf(row)
	mu.Lock()
	defer mu.Unlock()
	_, err := table.UpdateUntil(row, func(before []byte, _ bool) ([]byte, time.Time, error) {
		next, until, err := f(before, l.clock.Now())
		return next, time.Unix(0, until), err
	})
	return err
}

// reset forgets what a key has used, and tells whether there was something.
func (l *limiter) reset(a ask) (bool, error) {
	if err := checkKey(a.key); err != nil {
		return false, err
	}
	row := rowOf(a)
	mu := l.lockOf(row)
	mu.Lock()
	defer mu.Unlock()
	return l.tables[a.rule.Algorithm].Delete(row)
}
