package main

import "strings"

// setOptions are the words after SET KEY VALUE.
type setOptions struct {
	unit              string // EX, PX, EXAT or PXAT, with its number; "" for none
	number            []byte
	keep, nx, xx, get bool
}

func parseSet(words [][]byte) (o setOptions, err error) {
	for i := 0; i < len(words); i++ {
		switch word := strings.ToUpper(string(words[i])); {
		case word == "NX" && !o.xx:
			o.nx = true
		case word == "XX" && !o.nx:
			o.xx = true
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

func isUnit(word string) bool {
	return word == "EX" || word == "PX" || word == "EXAT" || word == "PXAT"
}

// expiry is the instant at which the value ends, 0 for never.
func (o setOptions) expiry(now int64) (int64, error) {
	if o.unit == "" {
		return 0, nil
	}
	n, err := parseInt(o.number)
	if err != nil {
		return 0, err
	}
	if n <= 0 {
		return 0, errExpireTime("set")
	}
	seconds, absolute := strings.HasPrefix(o.unit, "EX"), strings.HasSuffix(o.unit, "AT")
	at, ok := instant(n, seconds, absolute, now)
	if !ok {
		return 0, errExpireTime("set")
	}
	return at, nil
}

// set is SET: put a value, if the conditions hold, and with GET answer what was there.
func (c *cache) set(q *call) error {
	o, err := parseSet(q.args[3:])
	if err != nil {
		return err
	}
	at, err := o.expiry(nowMillis())
	if err != nil {
		return err
	}
	key, value := string(q.args[1]), q.args[2]
	defer c.lock(q.args[1]).Unlock()
	if !o.nx && !o.xx && !o.get && !o.keep {
		return q.okIf(c.put(key, value, at))
	}
	old, found, err := c.rows.Lookup(key)
	if err != nil {
		return err
	}
	stored := !(o.nx && found) && !(o.xx && !found)
	if stored {
		err = c.putKeeping(key, value, at, o.keep)
	}
	switch {
	case err != nil:
		return err
	case o.get && found:
		q.bulk(old)
	case o.get || !stored:
		q.null()
	default:
		q.ok()
	}
	return nil
}

// putKeeping is put, but with keep the key's expiry stays what it is.
func (c *cache) putKeeping(key string, value []byte, at int64, keep bool) error {
	if !keep {
		return c.put(key, value, at)
	}
	_, err := c.rows.Update(key, func([]byte, bool) ([]byte, error) { return value, nil })
	return err
}
