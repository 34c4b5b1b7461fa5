package main

import (
	"strconv"

	"github.com/theseusd/theseus/plugins/cache/internal/entry"
)

// fields are those of the hash of a key, for a command that reads.
func (c *cache) fields(key []byte) (fs entry.Fields, err error) {
	it, ok, err := c.lookKind(key, entry.Hash)
	if err != nil || !ok {
		return fs, err
	}
	return entry.ParseFields(it.Payload)
}

// changeHash writes the fields that f makes of those that are there. A hash without fields is deleted; its end stays.
func (c *cache) changeHash(key []byte, f func(fs *entry.Fields) error) error {
	it, ok, err := c.kind(key, entry.Hash)
	if err != nil {
		return err
	}
	var fs entry.Fields
	if ok {
		fs, err = entry.ParseFields(it.Payload)
	} else {
		it = c.fresh(key)
		it.Kind = entry.Hash
	}
	if err == nil {
		err = f(&fs)
	}
	switch {
	case err != nil:
		return err
	case fs.Len() > 0:
		it.Payload = fs.Payload()
		return c.store(key, it)
	case ok:
		_, err = c.remove(key)
	}
	return err
}

func (c *cache) hset(q *call) error {
	added, err := c.setFields(q)
	return q.intIf(added, err)
}

func (c *cache) hmset(q *call) error {
	_, err := c.setFields(q)
	return q.okIf(err)
}

func (c *cache) setFields(q *call) (added int64, err error) {
	pairs := q.args[2:]
	if len(pairs)%2 != 0 {
		return 0, errArity(q.word)
	}
	return added, c.changeHash(q.args[1], func(fs *entry.Fields) error {
		for i := 0; i < len(pairs); i += 2 {
			if fs.Set(pairs[i], pairs[i+1]) {
				added++
			}
		}
		return nil
	})
}

func (c *cache) hsetnx(q *call) error {
	added := false
	err := c.changeHash(q.args[1], func(fs *entry.Fields) error {
		if _, there := fs.Get(q.args[2]); !there {
			added = fs.Set(q.args[2], q.args[3])
		}
		return nil
	})
	return q.boolIf(added, err)
}

func (c *cache) hdel(q *call) error {
	n := 0
	err := c.changeHash(q.args[1], func(fs *entry.Fields) error {
		n = fs.Delete(q.args[2:]...)
		return nil
	})
	return q.intIf(int64(n), err)
}

func (c *cache) hget(q *call) error {
	fs, err := c.fields(q.args[1])
	value, ok := fs.Get(q.args[2])
	return q.bulkIf(value, ok, err)
}

func (c *cache) hmget(q *call) error {
	fs, err := c.fields(q.args[1])
	if err != nil {
		return err
	}
	q.array(len(q.args) - 2)
	for _, name := range q.args[2:] {
		value, ok := fs.Get(name)
		_ = q.bulkIf(value, ok, nil)
	}
	return nil
}

func (c *cache) hexists(q *call) error {
	fs, err := c.fields(q.args[1])
	_, ok := fs.Get(q.args[2])
	return q.boolIf(ok, err)
}

func (c *cache) hlen(q *call) error {
	fs, err := c.fields(q.args[1])
	return q.intIf(int64(fs.Len()), err)
}

func (c *cache) hstrlen(q *call) error {
	fs, err := c.fields(q.args[1])
	value, _ := fs.Get(q.args[2])
	return q.intIf(int64(len(value)), err)
}

func (c *cache) hgetall(q *call) error {
	fs, err := c.fields(q.args[1])
	if err != nil {
		return err
	}
	q.dict(fs.Len())
	for _, f := range fs.All {
		q.bulk(f.Name)
		q.bulk(f.Value)
	}
	return nil
}

func (c *cache) hkeys(q *call) error {
	return c.each(q, func(f entry.Field) []byte { return f.Name })
}

func (c *cache) hvals(q *call) error {
	return c.each(q, func(f entry.Field) []byte { return f.Value })
}

func (c *cache) each(q *call, part func(entry.Field) []byte) error {
	fs, err := c.fields(q.args[1])
	if err != nil {
		return err
	}
	q.array(fs.Len())
	for _, f := range fs.All {
		q.bulk(part(f))
	}
	return nil
}

func (c *cache) hincrby(q *call) error {
	delta, err := parseInt(q.args[3])
	if err != nil {
		return err
	}
	sum := int64(0)
	err = c.changeHash(q.args[1], func(fs *entry.Fields) (err error) {
		old, _ := fs.Get(q.args[2])
		if sum, err = plus(old, delta, errHashInt); err == nil {
			fs.Set(q.args[2], strconv.AppendInt(nil, sum, 10))
		}
		return err
	})
	return q.intIf(sum, err)
}

func (c *cache) hincrbyfloat(q *call) error {
	delta, err := parseFloat(q.args[3])
	if err != nil {
		return err
	}
	var sum []byte
	err = c.changeHash(q.args[1], func(fs *entry.Fields) (err error) {
		old, _ := fs.Get(q.args[2])
		if sum, err = plusFloat(old, delta, errHashFloat); err == nil {
			fs.Set(q.args[2], sum)
		}
		return err
	})
	return q.bulkIf(sum, true, err)
}

// hscan answers all fields at once: a hash is one row.
func (c *cache) hscan(q *call) error {
	if _, err := strconv.ParseUint(string(q.args[2]), 10, 64); err != nil {
		return errCursor
	}
	o, err := parseScan(q.args[3:])
	if err != nil {
		return err
	}
	fs, err := c.fields(q.args[1])
	if err != nil {
		return err
	}
	fit := fs.All[:0]
	for _, f := range fs.All {
		if o.fits(string(f.Name)) {
			fit = append(fit, f)
		}
	}
	q.array(2)
	q.text("0")
	q.array(2 * len(fit))
	for _, f := range fit {
		q.bulk(f.Name)
		q.bulk(f.Value)
	}
	return nil
}
