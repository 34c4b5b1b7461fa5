package main

import (
	"strings"

	"github.com/theseusd/theseus/plugins/cache/internal/entry"
)

// ending is EX, PX, EXAT or PXAT with its number, or PERSIST.
type ending struct {
	unit    string // "" for none
	number  []byte
	persist bool
}

func isUnit(word string) bool {
	return word == "EX" || word == "PX" || word == "EXAT" || word == "PXAT"
}

// parseEnd reads the words of GETEX.
func parseEnd(words [][]byte) (o ending, err error) {
	if len(words) == 0 {
		return o, nil
	}
	switch word := strings.ToUpper(string(words[0])); {
	case word == "PERSIST" && len(words) == 1:
		o.persist = true
	case isUnit(word) && len(words) == 2:
		o.unit, o.number = word, words[1]
	default:
		return o, errSyntax
	}
	return o, nil
}

// end is the instant at which the value ends and the time that it was given to live, 0 for never.
func (o ending) end(command string, now int64) (until, ttl int64, err error) {
	if o.unit == "" {
		return 0, 0, nil
	}
	n, err := parseInt(o.number)
	if err != nil {
		return 0, 0, err
	}
	if n <= 0 {
		return 0, 0, errExpireTime(command)
	}
	seconds, absolute := strings.HasPrefix(o.unit, "EX"), strings.HasSuffix(o.unit, "AT")
	until, ok := instant(n, seconds, absolute, now)
	if !ok {
		return 0, 0, errExpireTime(command)
	}
	if !absolute {
		ttl = until - now
	}
	return until, ttl, nil
}

// setOptions are the words after SET KEY VALUE.
type setOptions struct {
	ending
	keep, nx, xx, get bool
	equal             []byte // of IFEQ
	compare           bool
}

func parseSet(words [][]byte) (o setOptions, err error) {
	for i := 0; i < len(words); i++ {
		switch word := strings.ToUpper(string(words[i])); {
		case word == "NX" && !o.xx && !o.compare:
			o.nx = true
		case word == "XX" && !o.nx && !o.compare:
			o.xx = true
		case word == "IFEQ" && !o.nx && !o.xx && !o.compare && i+1 < len(words):
			i++
			o.compare, o.equal = true, words[i]
		case word == "GET":
			o.get = true
		case word == "KEEPTTL" && o.unit == "":
			o.keep = true
		case isUnit(word) && !o.keep && o.unit == "" && i+1 < len(words):
			i++
			o.unit, o.number = word, words[i]
		default:
			return o, errSyntax
		}
	}
	return o, nil
}

// looks is true if what is there matters.
func (o *setOptions) looks() bool { return o.nx || o.xx || o.get || o.keep || o.compare }

// holds says whether the conditions do.
func (o *setOptions) holds(old item, found bool) bool {
	return !(o.nx && found) && !(o.xx && !found) &&
		!(o.compare && (!found || old.Kind != entry.String || string(old.Payload) != string(o.equal)))
}

// set is SET: put a value, if the conditions hold, and with GET answer what was there. The key is a new one: tags of
// the old one are gone, like its end, unless KEEPTTL keeps both.
func (c *cache) set(q *call) error {
	var o setOptions
	var err error
	if len(q.args) > 3 {
		if o, err = parseSet(q.args[3:]); err != nil {
			return err
		}
	}
	it := c.fresh(q.args[1])
	if o.unit != "" {
		if it.until, it.TTL, err = o.end(q.word, nowMillis()); err != nil {
			return err
		}
	}
	it.Payload = q.args[2]
	if !o.looks() {
		return q.okIf(c.store(q.args[1], it))
	}
	return c.setIf(q, o, it)
}

func (c *cache) setIf(q *call, o setOptions, it item) error {
	old, found, err := c.find(q.args[1])
	if o.get {
		err = wrongKind(old, found, entry.String, err)
	}
	if err != nil {
		return err
	}
	stored := o.holds(old, found)
	if stored {
		if o.keep && found {
			it.until, it.TTL, it.Tags, it.Seq = old.until, old.TTL, old.Tags, old.Seq
		}
		err = c.store(q.args[1], it)
	}
	switch {
	case err != nil:
		return err
	case o.get && found:
		q.bulk(old.Payload)
	case o.get || !stored:
		q.null()
	default:
		q.ok()
	}
	return nil
}

func (c *cache) setnx(q *call) error {
	_, found, err := c.find(q.args[1])
	if err != nil || found {
		return q.boolIf(false, err)
	}
	it := c.fresh(q.args[1])
	it.Payload = q.args[2]
	return q.boolIf(true, c.store(q.args[1], it))
}

func (c *cache) getset(q *call) error {
	return c.setIf(q, setOptions{get: true}, c.freshWith(q.args[1], q.args[2]))
}

func (c *cache) freshWith(key, value []byte) item {
	it := c.fresh(key)
	it.Payload = value
	return it
}

func (c *cache) setex(q *call) error  { return c.setFor(q, "EX") }
func (c *cache) psetex(q *call) error { return c.setFor(q, "PX") }

func (c *cache) setFor(q *call, unit string) error {
	it := item{Entry: entry.Entry{Payload: q.args[3]}}
	var err error
	if it.until, it.TTL, err = (ending{unit: unit, number: q.args[2]}).end(q.word, nowMillis()); err != nil {
		return err
	}
	return q.okIf(c.store(q.args[1], it))
}
