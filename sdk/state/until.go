package state

import "time"

// PutUntil writes a row that is gone at an instant; the zero time is never. One that has passed deletes.
func (t *Table[V]) PutUntil(key string, v V, at time.Time) error {
	if at.IsZero() {
		return t.putUntil(key, v, 0)
	}
	if ms := millis(at); ms > t.rows.store.now() {
		return t.putUntil(key, v, ms)
	}
	_, err := t.rows.remove(key)
	return err
}

// UpdateUntil is Update of a row that is gone at the instant that f gives with it, as with PutUntil.
func (t *Table[V]) UpdateUntil(key string, f func(v V, ok bool) (V, time.Time, error)) (V, error) {
	v, p, err := t.updateLocked(key, func(v V, ok bool, _ uint64) (V, uint64, error) {
		v, at, err := f(v, ok)
		if at.IsZero() {
			return v, 0, err
		}
		return v, millis(at), err
	})
	return v, t.rows.acknowledge(p, err)
}

// LookupUntil is Lookup that tells also when the row is gone, in milliseconds since 1970; 0 is never.
func (t *Table[V]) LookupUntil(key string) (v V, until int64, ok bool, err error) {
	m, ok := t.rows.read(key)
	if !ok {
		return v, 0, false, nil
	}
	v, _, err = t.present(key, m)
	return v, int64(m.expiry), true, err
}

// Ended has f told of each row that this process removes because it has expired. The key is valid for the length of
// the call; f must be quick, and must not use the table.
func Ended(f func(key []byte)) TableOption { return func(t *rows) { t.ended = f } }
