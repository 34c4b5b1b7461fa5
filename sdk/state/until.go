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
