package main

func (c *cache) get(q *call) error {
	value, ok, err := c.rows.Lookup(string(q.args[1]))
	return q.bulkIf(value, ok, err)
}

func (c *cache) getdel(q *call) error {
	key := string(q.args[1])
	defer c.lock(q.args[1]).Unlock()
	value, ok, err := c.rows.Lookup(key)
	if err == nil && ok {
		_, err = c.rows.Delete(key)
	}
	return q.bulkIf(value, ok, err)
}

func (c *cache) strlen(q *call) error {
	value, _, err := c.rows.Lookup(string(q.args[1]))
	return q.intIf(int64(len(value)), err)
}

func (c *cache) append(q *call) error {
	defer c.lock(q.args[1]).Unlock()
	value, err := c.rows.Update(string(q.args[1]), func(old []byte, _ bool) ([]byte, error) {
		return append(append(make([]byte, 0, len(old)+len(q.args[2])), old...), q.args[2]...), nil
	})
	return q.intIf(int64(len(value)), err)
}

func (c *cache) mget(q *call) error {
	keys := q.args[1:]
	defer c.lockAll(keys)()
	values := make([][]byte, len(keys))
	for i, key := range keys {
		value, ok, err := c.rows.Lookup(string(key))
		if err != nil {
			return err
		}
		if ok {
			values[i] = append([]byte{}, value...)
		}
	}
	q.array(len(values))
	for _, v := range values {
		_ = q.bulkIf(v, v != nil, nil)
	}
	return nil
}

// mset sets all keys at once: no other command sees some of them. (A crash in its middle may leave some; it was not
// acknowledged then.)
func (c *cache) mset(q *call) error {
	pairs := q.args[1:]
	if len(pairs)%2 != 0 {
		return errArity("mset")
	}
	keys := make([][]byte, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		keys = append(keys, pairs[i])
	}
	defer c.lockAll(keys)()
	for i := 0; i < len(pairs); i += 2 {
		if err := c.rows.Put(string(pairs[i]), pairs[i+1]); err != nil {
			return err
		}
	}
	q.ok()
	return nil
}
