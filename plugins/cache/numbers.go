package main

import (
	"math"
	"strconv"
	"strings"
)

// parseInt reads a number as Redis does: no plus sign, no leading zero, no space.
func parseInt(b []byte) (int64, error) {
	n, err := strconv.ParseInt(view(b), 10, 64)
	if err != nil || len(b) > 1 && !plain(b) {
		return 0, errInteger
	}
	return n, nil
}

// plain is false for signs and zeros that Redis does not take.
func plain(b []byte) bool {
	if b[0] == '-' {
		b = b[1:]
		return b[0] != '0'
	}
	return b[0] != '+' && b[0] != '0'
}

// parseFloat reads a decimal number.
func parseFloat(b []byte) (float64, error) {
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || math.IsNaN(f) || strings.ContainsAny(string(b), "_ xXpP") {
		return 0, errFloat
	}
	return f, nil
}

// formatFloat writes a decimal number without an exponent.
func formatFloat(f float64) []byte { return strconv.AppendFloat(nil, f, 'f', -1, 64) }

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

// add changes a number by delta; a key that is not there counts as 0. The key's end stays.
func (c *cache) add(q *call, delta int64) error {
	var sum int64
	err := c.change(q.args[1], func(old []byte) (_ []byte, err error) {
		sum, err = plus(old, delta, errInteger)
		return strconv.AppendInt(nil, sum, 10), err
	})
	return q.intIf(sum, err)
}

// plus adds to a number in text; nil is 0.
func plus(old []byte, delta int64, wrong failure) (int64, error) {
	n := int64(0)
	if old != nil {
		var err error
		if n, err = parseInt(old); err != nil {
			return 0, wrong
		}
	}
	sum := n + delta
	if (delta > 0) != (sum > n) && delta != 0 {
		return 0, errOverflow
	}
	return sum, nil
}

func (c *cache) incrbyfloat(q *call) error {
	delta, err := parseFloat(q.args[2])
	if err != nil {
		return err
	}
	var sum []byte
	err = c.change(q.args[1], func(old []byte) (_ []byte, err error) {
		sum, err = plusFloat(old, delta, errFloat)
		return sum, err
	})
	return q.bulkIf(sum, true, err)
}

func plusFloat(old []byte, delta float64, wrong failure) ([]byte, error) {
	f := 0.0
	if old != nil {
		var err error
		if f, err = parseFloat(old); err != nil {
			return nil, wrong
		}
	}
	if f += delta; math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, errNaN
	}
	return formatFloat(f), nil
}
