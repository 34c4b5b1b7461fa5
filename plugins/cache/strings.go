package main

import (
	"github.com/theseusd/theseus/plugins/cache/internal/entry"
	"github.com/theseusd/theseus/sdk/serve/resp"
)

func (c *cache) get(q *call) error {
	it, ok, err := c.lookKind(q.args[1], entry.String)
	return q.bulkIf(it.Payload, ok, err)
}

func (c *cache) getdel(q *call) error {
	it, ok, err := c.lookKind(q.args[1], entry.String)
	if err == nil && ok {
		_, err = c.remove(q.args[1])
	}
	return q.bulkIf(it.Payload, ok, err)
}

// getex is GETEX: the value, and perhaps another end.
func (c *cache) getex(q *call) error {
	o, err := parseEnd(q.args[2:])
	if err != nil {
		return err
	}
	it, ok, err := c.lookKind(q.args[1], entry.String)
	if err != nil || !ok {
		return q.bulkIf(nil, false, err)
	}
	now := nowMillis()
	until, ttl, err := o.end(q.word, now)
	switch {
	case err != nil:
		return err
	case o.unit != "":
		it.until, it.TTL = until, ttl
		err = c.store(q.args[1], it)
	case o.persist && it.until != 0:
		it.live(0, now)
		err = c.store(q.args[1], it)
	}
	return q.bulkIf(it.Payload, true, err)
}

func (c *cache) strlen(q *call) error {
	it, _, err := c.lookKind(q.args[1], entry.String)
	return q.intIf(int64(len(it.Payload)), err)
}

// change writes a string that f makes of the one that is there. Its end stays.
func (c *cache) change(key []byte, f func(old []byte) ([]byte, error)) error {
	it, ok, err := c.kind(key, entry.String)
	if err != nil {
		return err
	}
	if !ok {
		it = c.fresh(key)
	}
	if it.Payload, err = f(it.Payload); err != nil {
		return err
	}
	return c.store(key, it)
}

func (c *cache) append(q *call) error {
	n := 0
	err := c.change(q.args[1], func(old []byte) ([]byte, error) {
		n = len(old) + len(q.args[2])
		return append(old, q.args[2]...), tooLong(n)
	})
	return q.intIf(int64(n), err)
}

func tooLong(n int) error {
	if n > resp.MaxBulk {
		return errTooLong
	}
	return nil
}

func (c *cache) getrange(q *call) error {
	from, err := parseInt(q.args[2])
	if err != nil {
		return err
	}
	to, err := parseInt(q.args[3])
	if err != nil {
		return err
	}
	it, _, err := c.lookKind(q.args[1], entry.String)
	return q.bulkIf(slice(it.Payload, from, to), true, err)
}

// slice is the bytes from the index from to the index to; indexes below 0 count from the end.
func slice(b []byte, from, to int64) []byte {
	n := int64(len(b))
	if from < 0 && to < 0 && from > to {
		return []byte{}
	}
	if from < 0 {
		from = max(0, from+n)
	}
	if to < 0 {
		to = max(0, to+n)
	}
	if to = min(to, n-1); n == 0 || from > to {
		return []byte{}
	}
	return b[from : to+1]
}

func (c *cache) setrange(q *call) error {
	at, err := parseInt(q.args[2])
	switch {
	case err != nil:
		return err
	case at < 0:
		return errOffset
	case at > resp.MaxBulk || at+int64(len(q.args[3])) > resp.MaxBulk:
		return errTooLong
	case len(q.args[3]) == 0:
		return c.strlen(q)
	}
	n := 0
	err = c.change(q.args[1], func(old []byte) ([]byte, error) {
		end := int(at) + len(q.args[3])
		if end > len(old) {
			old = append(old, make([]byte, end-len(old))...)
		}
		copy(old[at:], q.args[3])
		n = len(old)
		return old, nil
	})
	return q.intIf(int64(n), err)
}

func (c *cache) mget(q *call) error {
	q.array(len(q.args) - 1)
	for _, key := range q.args[1:] {
		it, ok, err := c.look(key)
		if err = q.bulkIf(it.Payload, ok && it.Kind == entry.String, err); err != nil || q.over {
			return err
		}
	}
	return nil
}

// mset sets all keys at once: no other command sees some of them. (A crash in its middle may leave some; it was not
// acknowledged then.)
func (c *cache) mset(q *call) error {
	pairs := q.args[1:]
	if len(pairs)%2 != 0 {
		return errArity(q.word)
	}
	return q.okIf(c.setAll(pairs))
}

func (c *cache) setAll(pairs [][]byte) error {
	for i := 0; i < len(pairs); i += 2 {
		it := c.fresh(pairs[i])
		it.Payload = pairs[i+1]
		if err := c.store(pairs[i], it); err != nil {
			return err
		}
	}
	return nil
}

func (c *cache) msetnx(q *call) error {
	pairs := q.args[1:]
	if len(pairs)%2 != 0 {
		return errArity(q.word)
	}
	for i := 0; i < len(pairs); i += 2 {
		if _, ok, err := c.find(pairs[i]); ok || err != nil {
			return q.boolIf(false, err)
		}
	}
	return q.boolIf(true, c.setAll(pairs))
}
