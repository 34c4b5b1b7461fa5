package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/theseusd/theseus/plugins/cache/internal/entry"
	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/state"
)

// tags are the invalidations that are not yet done. Each has a number; a key keeps the number of the last one before it
// was tagged. So invalidating a tag is one write, whatever the number of keys: from then on nobody finds a key with that
// tag and an earlier number, in this version or the next, and a sweep removes them.
type tags struct {
	rows *state.Table[uint64] // tag: number of its last invalidation; under "" is the last number given
	mu   sync.Mutex           // held while a number is given and written
	wake chan struct{}
}

var tagSchema = state.Schema[uint64]{Name: "invalidation", Version: 1}

func newTags(s *sdk.Setup) *tags {
	return &tags{rows: state.NewTable(s, "invalidations", tagSchema), wake: make(chan struct{}, 1)}
}

// load has unfinished sweeps begun again.
func (t *tags) load() error {
	t.sweep()
	return nil
}

func (t *tags) sweep() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// last is the number of the last invalidation. All of them up to it are in the table.
func (t *tags) last() (uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lastGiven()
}

func (t *tags) lastGiven() (uint64, error) {
	n, _, err := t.rows.Lookup("")
	return n, err
}

// dead tells whether a value was invalidated.
func (t *tags) dead(e *entry.Entry) bool {
	for _, tag := range e.Tags {
		if n, ok := t.rows.Get(tag); ok && n > e.Seq {
			return true
		}
	}
	return false
}

// invalidate ends all keys that have the tag now.
func (t *tags) invalidate(tag string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, err := t.lastGiven()
	if err == nil {
		err = t.rows.Put("", n+1)
	}
	if err == nil {
		err = t.rows.Put(tag, n+1)
	}
	t.sweep()
	return err
}

// done forgets the invalidations up to a number: nothing of them is left.
func (t *tags) done(upTo uint64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var over []string
	err := t.rows.Range(func(tag string, n uint64) bool {
		if tag != "" && n <= upTo {
			over = append(over, tag)
		}
		return true
	})
	for _, tag := range over {
		_, e := t.rows.Delete(tag)
		err = errors.Join(err, e)
	}
	return err
}

// sweepAgain is how soon a sweep that failed is tried again.
const sweepAgain = time.Second

// run sweeps whenever a tag was invalidated, and again if that failed.
func (t *tags) run(ctx context.Context, sweep func(context.Context) error) error {
	again := time.NewTimer(sweepAgain)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.wake:
		case <-again.C:
		}
		if sweep(ctx) != nil {
			again.Reset(sweepAgain)
		}
	}
}

// sweepTags removes invalidated keys while this version serves.
func (c *cache) sweepTags(ctx context.Context) error {
	return c.tags.run(ctx, func(ctx context.Context) error {
		err := c.sweepInvalid(ctx)
		if err != nil && ctx.Err() == nil {
			c.log.Warn("invalidated keys are not found any more, but could not all be removed", "error", err)
		}
		return err
	})
}

// sweepInvalid goes through all keys once, if there is any need. A command that has found a value before it was invalidated
// may still write it under another key, or with the number of then: it is waited for, so that the sweep meets what it wrote.
func (c *cache) sweepInvalid(ctx context.Context) error {
	n, err := c.tags.last()
	if err != nil || c.tags.rows.Len() <= 1 {
		return err
	}
	c.locks.settle()
	for _, k := range order {
		var failed error
		err := c.spaces.tables[k].Range(func(key string, row []byte) bool {
			if e, err := entry.Parse(row); err == nil && c.tags.dead(&e) {
				failed = c.locks.alone([]byte(key), func() error { return c.bury([]byte(key)) })
			}
			failed = errors.Join(failed, context.Cause(ctx))
			return failed == nil
		})
		if err = errors.Join(err, failed); err != nil {
			return err
		}
	}
	return c.tags.done(n)
}

// bury deletes a key if nobody can find it. Its lock is held.
func (c *cache) bury(key []byte) error {
	if _, ok, err := c.find(key); ok || err != nil {
		return err
	}
	s := c.spaces.of(key)
	_, err := s.rows.Delete(string(key))
	s.bound.forget(key)
	return err
}

// tag is CACHE.TAG KEY TAG...: adds the key to groups.
func (c *cache) tag(q *call) error {
	ok, err := c.addTags(q.args[1], q.args[2:])
	return q.boolIf(ok, err)
}

func (c *cache) addTags(key []byte, tags [][]byte) (bool, error) {
	seq, err := c.tags.last() // before the look: whatever is invalidated from now on takes the key along
	if err != nil {
		return false, err
	}
	it, ok, err := c.find(key)
	if err != nil || !ok {
		return false, err
	}
	it.Seq = seq
	for _, tag := range tags {
		if len(tag) == 0 || len(tag) > maxTag {
			return false, errTag
		}
		if it.addTag(string(tag)); len(it.Tags) > maxTags {
			return false, errTags
		}
	}
	return true, c.store(key, it)
}

// Limits of tags.
const (
	maxTags = 64
	maxTag  = 256 // bytes
)

func (it *item) addTag(tag string) {
	for _, have := range it.Tags {
		if have == tag {
			return
		}
	}
	it.Tags = append(it.Tags, tag)
}

// invalidate is CACHE.INVALIDATE TAG...
func (c *cache) invalidate(q *call) error {
	for _, tag := range q.args[1:] {
		if err := c.invalidateTag(tag); err != nil {
			return err
		}
	}
	q.ok()
	return nil
}

func (c *cache) invalidateTag(tag []byte) error {
	if len(tag) == 0 || len(tag) > maxTag {
		return errTag
	}
	return c.tags.invalidate(string(tag))
}
