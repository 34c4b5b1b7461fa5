package main

import (
	"bytes"
	"errors"
	"strings"

	"github.com/theseusd/theseus/plugins/cache/internal/entry"
)

func isWord(arg []byte, word string) bool { return strings.EqualFold(string(arg), word) }

func (c *cache) del(q *call) error {
	var n int64
	for _, key := range q.args[1:] {
		gone, err := c.remove(key)
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

func (c *cache) exists(q *call) error {
	var n int64
	for _, key := range q.args[1:] {
		_, ok, err := c.look(key)
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
	it, ok, err := c.find(q.args[1])
	switch {
	case err != nil:
		return err
	case ok:
		q.status(it.Kind.String())
	default:
		q.status("none")
	}
	return nil
}

// object is OBJECT ENCODING and its like: what there is to say of how a value is kept.
func (c *cache) object(q *call) error {
	if len(q.args) != 3 {
		return errSubcommand(q)
	}
	it, ok, err := c.find(q.args[2])
	switch sub := strings.ToLower(string(q.args[1])); {
	case err != nil:
		return err
	case sub != "encoding" && sub != "refcount" && sub != "idletime":
		return errSubcommand(q)
	case !ok:
		q.null()
	case sub == "refcount":
		q.int(1)
	case sub == "idletime":
		q.int(0)
	case it.Kind == entry.Hash:
		q.text("listpack")
	default:
		q.text("raw")
	}
	return nil
}

func (c *cache) rename(q *call) error {
	_, err := c.move(q, true)
	return q.okIf(err)
}

func (c *cache) renamenx(q *call) error {
	moved, err := c.move(q, false)
	return q.boolIf(moved, err)
}

// move gives a value another key. Its end and its tags go along.
func (c *cache) move(q *call, over bool) (bool, error) {
	from, to := q.args[1], q.args[2]
	it, ok, err := c.find(from)
	switch {
	case err != nil:
		return false, err
	case !ok:
		return false, errNoSuchKey
	}
	if _, taken, err := c.find(to); err != nil || taken && !over {
		return false, err
	}
	if string(from) == string(to) {
		return true, nil
	}
	if err := c.store(to, it); err != nil {
		return false, err
	}
	_, err = c.remove(from)
	return true, err
}

// copyKey is COPY FROM TO [DB 0] [REPLACE].
func (c *cache) copyKey(q *call) error {
	over := false
	for words := q.args[3:]; len(words) > 0; words = words[1:] {
		switch {
		case isWord(words[0], "REPLACE"):
			over = true
		case isWord(words[0], "DB") && len(words) > 1:
			words = words[1:]
			if n, err := parseInt(words[0]); err != nil || n != 0 {
				return errors.Join(err, errDB)
			}
		default:
			return errSyntax
		}
	}
	if bytes.Equal(q.args[1], q.args[2]) {
		return errSameKey
	}
	it, ok, err := c.find(q.args[1])
	if err != nil || !ok {
		return q.boolIf(false, err)
	}
	if _, taken, err := c.find(q.args[2]); err != nil || taken && !over {
		return q.boolIf(false, err)
	}
	return q.boolIf(true, c.store(q.args[2], it))
}

func (c *cache) dbsize(q *call) error {
	q.int(int64(c.spaces.entries()))
	return nil
}

// flush is FLUSHALL and FLUSHDB. Keys that are set while it runs may stay.
func (c *cache) flush(q *call) error {
	if len(q.args) > 2 || len(q.args) == 2 && !isWord(q.args[1], "ASYNC") && !isWord(q.args[1], "SYNC") {
		return errSyntax
	}
	_, err := c.removeAll(q.exec, func(string) bool { return true })
	return q.okIf(err)
}

// removeAll deletes the keys that fit, one by one, and counts them; held says that all locks are held.
func (c *cache) removeAll(held bool, fits func(key string) bool) (n int64, err error) {
	for _, k := range order {
		var failed error
		e := c.spaces.tables[k].Range(func(key string, _ []byte) bool {
			if !fits(key) {
				return true
			}
			var gone bool
			if gone, failed = c.removeOne([]byte(key), held); gone {
				n++
			}
			return failed == nil
		})
		err = errors.Join(err, e, failed)
	}
	return n, err
}

func (c *cache) removeOne(key []byte, held bool) (gone bool, err error) {
	if held {
		return c.remove(key)
	}
	err = c.locks.alone(key, func() error {
		gone, err = c.remove(key)
		return err
	})
	return gone, err
}
