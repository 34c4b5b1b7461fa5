package main

import (
	"strconv"
	"strings"
)

func (c *cache) del(q *call) error {
	var n int64
	for _, key := range q.args[1:] {
		gone, err := c.delete(key)
		if err != nil {
			return err
		}
		if gone {
			n++
		}
	}
	q.int(n)
	return nil
}

func (c *cache) delete(key []byte) (bool, error) {
	defer c.lock(key).Unlock()
	return c.rows.Delete(string(key))
}

func (c *cache) exists(q *call) error {
	var n int64
	for _, key := range q.args[1:] {
		_, ok, err := c.rows.Lookup(string(key))
		if err != nil {
			return err
		}
		if ok {
			n++
		}
	}
	q.int(n)
	return nil
}

func (c *cache) typeOf(q *call) error {
	_, ok, err := c.rows.Lookup(string(q.args[1]))
	if err != nil {
		return err
	}
	if ok {
		q.status("string")
	} else {
		q.status("none")
	}
	return nil
}

func (c *cache) dbsize(q *call) error {
	q.int(int64(c.rows.Len()))
	return nil
}

// flush is FLUSHALL and FLUSHDB. Keys that are set while it runs may stay.
func (c *cache) flush(q *call) error {
	if len(q.args) > 2 || len(q.args) == 2 && !isWord(q.args[1], "ASYNC") && !isWord(q.args[1], "SYNC") {
		return errSyntax
	}
	keys, err := c.all(nil)
	for i := 0; i < len(keys) && err == nil; i++ {
		_, err = c.delete([]byte(keys[i]))
	}
	return q.okIf(err)
}

func (c *cache) keys(q *call) error {
	keys, err := c.all(q.args[1])
	if err != nil {
		return err
	}
	q.strings(keys)
	return nil
}

// all lists the keys that fit the pattern; nil is any.
func (c *cache) all(pattern []byte) (keys []string, err error) {
	err = c.rows.Range(func(key string, _ []byte) bool {
		if pattern == nil || match(pattern, []byte(key)) {
			keys = append(keys, key)
		}
		return true
	})
	return keys, err
}

// scanOptions are the words after SCAN CURSOR.
type scanOptions struct {
	pattern []byte
	count   int64
	none    bool // TYPE names one that no key has
}

func parseScan(words [][]byte) (o scanOptions, err error) {
	o.count = 10
	for ; len(words) >= 2 && err == nil; words = words[2:] {
		switch strings.ToUpper(string(words[0])) {
		case "COUNT":
			if o.count, err = parseInt(words[1]); err == nil && o.count < 1 {
				err = errSyntax
			}
		case "MATCH":
			o.pattern = words[1]
		case "TYPE":
			o.none = !isWord(words[1], "STRING")
		default:
			return o, errSyntax
		}
	}
	if err == nil && len(words) > 0 {
		err = errSyntax
	}
	return o, err
}

const maxScan = 10_000 // keys that one SCAN looks at, whatever COUNT says

// scan answers some keys and the cursor from which to go on, 0 at the end. A key that is there all the time is
// answered at least once.
func (c *cache) scan(q *call) error {
	cursor, err := strconv.ParseUint(string(q.args[1]), 10, 64)
	if err != nil {
		return errCursor
	}
	o, err := parseScan(q.args[2:])
	if err != nil {
		return err
	}
	keys, next := c.rows.Scan(cursor, int(min(o.count, maxScan)))
	fit := keys[:0]
	for _, key := range keys {
		if !o.none && (o.pattern == nil || match(o.pattern, []byte(key))) {
			fit = append(fit, key)
		}
	}
	q.array(2)
	q.bulk(strconv.AppendUint(nil, next, 10))
	q.strings(fit)
	return nil
}

func isWord(arg []byte, word string) bool { return strings.EqualFold(string(arg), word) }
