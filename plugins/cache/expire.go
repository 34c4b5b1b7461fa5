package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

func nowMillis() int64 { return time.Now().UnixMilli() }

// instant is n seconds or milliseconds, from now or from 1970, as milliseconds since 1970; not ok if that overflows.
func instant(n int64, seconds, absolute bool, now int64) (at int64, ok bool) {
	if seconds {
		if n > math.MaxInt64/1000 || n < math.MinInt64/1000 {
			return 0, false
		}
		n *= 1000
	}
	if absolute {
		return n, true
	}
	return n + now, n <= math.MaxInt64-now
}

func (c *cache) expire(q *call) error    { return c.expireAt(q, true, false) }
func (c *cache) pexpire(q *call) error   { return c.expireAt(q, false, false) }
func (c *cache) expireat(q *call) error  { return c.expireAt(q, true, true) }
func (c *cache) pexpireat(q *call) error { return c.expireAt(q, false, true) }

func (c *cache) expireAt(q *call, seconds, absolute bool) error {
	when, err := parseWhen(q.args[3:])
	if err != nil {
		return err
	}
	n, err := parseInt(q.args[2])
	if err != nil {
		return err
	}
	at, ok := instant(n, seconds, absolute, nowMillis())
	if !ok {
		return errExpireTime(q.word)
	}
	defer c.lock(q.args[1]).Unlock()
	done, err := c.expireIf(string(q.args[1]), at, when)
	return q.boolIf(done, err)
}

// expireIf lets a key end at an instant, at once if that is past, if the key is there and the conditions hold.
func (c *cache) expireIf(key string, at int64, when conditions) (bool, error) {
	_, found, err := c.rows.Lookup(key)
	if err != nil || !found || !when.hold(c.expiry(key), at) {
		return false, err
	}
	return c.rows.Expire(key, time.UnixMilli(at)) // deletes, if that is past
}

// expiry is when a key ends, 0 for never.
func (c *cache) expiry(key string) int64 {
	at, ok := c.rows.Expiry(key)
	if !ok || at.IsZero() {
		return 0
	}
	return at.UnixMilli()
}

// conditions of EXPIRE.
type conditions struct{ nx, xx, gt, lt bool }

func parseWhen(words [][]byte) (w conditions, err error) {
	for _, word := range words {
		switch strings.ToUpper(string(word)) {
		case "NX":
			w.nx = true
		case "XX":
			w.xx = true
		case "GT":
			w.gt = true
		case "LT":
			w.lt = true
		default:
			return w, failure(fmt.Sprintf("ERR Unsupported option %s", word))
		}
	}
	switch {
	case w.nx && (w.xx || w.gt || w.lt):
		return w, errExpireNX
	case w.gt && w.lt:
		return w, errExpireGT
	}
	return w, nil
}

// hold says whether an expiry may change from current (0: never) to at.
func (w conditions) hold(current, at int64) bool {
	never := current == 0
	switch {
	case w.nx && !never, w.xx && never, w.gt && (never || at <= current), w.lt && !never && at >= current:
		return false
	}
	return true
}

func (c *cache) persist(q *call) error {
	key := string(q.args[1])
	defer c.lock(q.args[1]).Unlock()
	if c.expiry(key) == 0 {
		q.int(0)
		return nil
	}
	done, err := c.rows.Expire(key, time.Time{})
	return q.boolIf(done, err)
}

// ttl answers the seconds that are left, rounded; -1 for ever, -2 if there is no such key.
func (c *cache) ttl(q *call) error {
	left, err := c.left(q)
	if left > 0 {
		left = (left + 500) / 1000
	}
	return q.intIf(left, err)
}

func (c *cache) pttl(q *call) error {
	left, err := c.left(q)
	return q.intIf(left, err)
}

func (c *cache) left(q *call) (int64, error) {
	key := string(q.args[1])
	_, found, err := c.rows.Lookup(key)
	if err != nil || !found {
		return -2, err
	}
	at := c.expiry(key)
	if at == 0 {
		return -1, nil
	}
	return max(0, at-nowMillis()), nil
}
