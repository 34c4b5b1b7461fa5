package main

import (
	"math"
	"strconv"
)

// parseInt reads a number as Redis does: no plus sign, no leading zero, no space.
func parseInt(b []byte) (int64, error) {
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != string(b) {
		return 0, errInteger
	}
	return n, nil
}

func (c *cache) incr(q *call) error { return c.add(q, 1) }
func (c *cache) decr(q *call) error { return c.add(q, -1) }

func (c *cache) incrby(q *call) error {
	n, err := parseInt(q.args[2])
	if err != nil {
		return err
	}
	return c.add(q, n)
}

func (c *cache) decrby(q *call) error {
	n, err := parseInt(q.args[2])
	if err != nil {
		return err
	}
	if n == math.MinInt64 {
		return errDecrement
	}
	return c.add(q, -n)
}

// add changes a number by delta; a key that is not there counts as 0. The key's expiry stays.
func (c *cache) add(q *call, delta int64) error {
	var sum int64
	defer c.lock(q.args[1]).Unlock()
	_, err := c.rows.Update(string(q.args[1]), func(old []byte, ok bool) ([]byte, error) {
		n, err := int64(0), error(nil)
		if ok {
			n, err = parseInt(old)
		}
		if err != nil {
			return nil, err
		}
		if sum = n + delta; (delta > 0) != (sum > n) && delta != 0 {
			return nil, errOverflow
		}
		return strconv.AppendInt(nil, sum, 10), nil
	})
	return q.intIf(sum, err)
}
