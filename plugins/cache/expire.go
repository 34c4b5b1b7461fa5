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

// expireAt lets a key end at an instant, at once if that is past, if the key is there and the conditions hold.
func (c *cache) expireAt(q *call, seconds, absolute bool) error {
	when, err := parseWhen(q.args[3:])
	if err != nil {
		return err
	}
	n, err := parseInt(q.args[2])
	if err != nil {
		return err
	}
	now := nowMillis()
	at, ok := instant(n, seconds, absolute, now)
	if !ok {
		return errExpireTime(q.word)
	}
	it, found, err := c.find(q.args[1])
	if err != nil || !found || !when.hold(it.until, at) {
		return q.boolIf(false, err)
	}
	if at <= now {
		_, err = c.remove(q.args[1])
		return q.boolIf(true, err)
	}
	if it.until, it.TTL = at, 0; !absolute {
		it.TTL = at - now
	}
	return q.boolIf(true, c.store(q.args[1], it))
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

// hold says whether an end may change from current (0: never) to at.
func (w conditions) hold(current, at int64) bool {
	never := current == 0
	switch {
	case w.nx && !never, w.xx && never, w.gt && (never || at <= current), w.lt && !never && at >= current:
		return false
	}
	return true
}

func (c *cache) persist(q *call) error {
	it, found, err := c.find(q.args[1])
	if err != nil || !found || it.until == 0 {
		return q.boolIf(false, err)
	}
	it.live(0, 0)
	return q.boolIf(true, c.store(q.args[1], it))
}

// touchAll is CACHE.TOUCH KEY...: each key lives as long again as it was given, or as its namespace says.
func (c *cache) touchAll(q *call) error {
	n := int64(0)
	for _, key := range q.args[1:] {
		touched, err := c.touch(key)
		if err != nil {
			return err
		}
		if touched {
			n++
		}
	}
	q.int(n)
	return nil
}

func (c *cache) touch(key []byte) (bool, error) {
	it, ok, err := c.find(key)
	if err != nil || !ok {
		return false, err
	}
	ttl := it.TTL
	if ttl == 0 && it.until == 0 {
		ttl = c.spaces.of(key).TTL
	}
	if ttl == 0 {
		return true, nil
	}
	it.live(ttl, nowMillis())
	return true, c.store(key, it)
}

// ttl answers the seconds that are left, rounded; -1 for ever, -2 if there is no such key.
func (c *cache) ttl(q *call) error {
	left, err := c.left(q.args[1])
	if left > 0 {
		left = (left + 500) / 1000
	}
	return q.intIf(left, err)
}

func (c *cache) pttl(q *call) error {
	left, err := c.left(q.args[1])
	return q.intIf(left, err)
}

func (c *cache) left(key []byte) (int64, error) {
	it, found, err := c.find(key)
	switch {
	case err != nil || !found:
		return -2, err
	case it.until == 0:
		return -1, nil
	}
	return max(0, it.until-nowMillis()), nil
}

func (c *cache) expiretime(q *call) error  { return c.endOf(q, 1000) }
func (c *cache) pexpiretime(q *call) error { return c.endOf(q, 1) }

// endOf answers when a key ends, in units of so many milliseconds.
func (c *cache) endOf(q *call, unit int64) error {
	it, found, err := c.find(q.args[1])
	switch {
	case err != nil || !found:
		return q.intIf(-2, err)
	case it.until == 0:
		q.int(-1)
	default:
		q.int((it.until + unit/2) / unit)
	}
	return nil
}
