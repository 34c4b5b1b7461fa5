package state

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"time"
	"unsafe"
)

// Table is rows of one type under string keys, kept in the state log. Rows of type []byte are kept as they are, all
// others as CBOR. Every method may be called from any goroutine; a read takes no lock that a write to another key
// holds for long, and returns a copy that is the caller's own.
type Table[V any] struct {
	rows  *rows
	bare  bool // V is []byte
	valid func(key string, v V) error
}

// TableOption changes what a table promises.
type TableOption func(*rows)

// Durable makes writes of the table wait until they are on disk, many of them with one sync: they survive a loss of
// power. Without it they survive the end of the process alone. A reader may see a row before its writer is told.
var Durable TableOption = func(t *rows) { t.durable = true }

// Passing makes the rows of the table end when the process that wrote them ends or gives the right to write away: the
// next one begins without any, and neither an upgrade nor a start takes longer for them.
var Passing TableOption = func(t *rows) { t.passing = true }

// NewTable makes the table of that name. It panics if the name is taken, empty or longer than 255 bytes, if the steps
// of the schema are no chain, or if the log was read already: these are mistakes in the program.
func NewTable[V any](r Registrar, name string, s Schema[V], opts ...TableOption) *Table[V] {
	t, err := newTable(r.State(), name, s)
	if err != nil {
		panic(fmt.Sprintf("state: table %q: %v", name, err))
	}
	for _, o := range opts {
		o(t.rows)
	}
	if err := r.State().register(t.rows); err != nil {
		panic(fmt.Sprintf("state: table %q: %v", name, err))
	}
	return t
}

func newTable[V any](s *Store, name string, schema Schema[V]) (*Table[V], error) {
	if name == "" || len(name) > math.MaxUint8 {
		return nil, errors.New("the name must have 1 to 255 bytes")
	}
	chain, err := schema.steps()
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", schema.Name, err)
	}
	typ := reflect.TypeFor[V]()
	t := &Table[V]{bare: typ == bytesType, valid: schema.Check}
	t.rows = &rows{
		store: s, name: name, schema: schema.Name, version: chain.version, steps: chain, shape: shapeOf(typ), check: t.checkBytes,
		checked: schema.Check != nil,
	}
	return t, nil
}

// checkBytes decodes a row and lets the schema check it.
func (t *Table[V]) checkBytes(key string, value []byte) error {
	v, err := t.decode(value)
	if err != nil {
		return err
	}
	return t.checkRow(key, v)
}

// checkRow takes a panic of the check for its answer.
func (t *Table[V]) checkRow(key string, v V) (err error) {
	if t.valid == nil {
		return nil
	}
	defer panicked(&err)
	return t.valid(key, v)
}

func (t *Table[V]) decode(b []byte) (V, error) {
	if t.bare {
		return *(*V)(unsafe.Pointer(&b)), nil // V is []byte; going through an interface would allocate
	}
	return decode[V](b)
}

func (t *Table[V]) encode(key string, v V) ([]byte, error) {
	if err := t.checkRow(key, v); err != nil {
		return nil, t.rows.rowError(key, err)
	}
	if t.bare {
		return *(*[]byte)(unsafe.Pointer(&v)), nil
	}
	b, err := encode(v)
	return b, t.rows.rowError(key, err)
}

// Get returns the row of a key. A row that cannot be decoded is not there; Lookup tells why.
func (t *Table[V]) Get(key string) (V, bool) {
	v, ok, err := t.Lookup(key)
	return v, ok && err == nil
}

// Lookup returns the row of a key, in this program's version whatever version it was written in. The error is a
// [RowError] or a [NewerError].
func (t *Table[V]) Lookup(key string) (v V, ok bool, err error) {
	m, ok := t.rows.read(key)
	if !ok {
		return v, false, nil
	}
	v, _, err = t.present(key, m)
	return v, true, err
}

func (t *Table[V]) present(key string, m image) (v V, rest []byte, err error) {
	value, rest, err := t.rows.present(key, m)
	if err != nil {
		return v, nil, err
	}
	v, err = t.decode(value)
	return v, rest, t.rows.rowError(key, err)
}

// Put writes a row that does not expire. ErrNotWriter and ErrNoSpace are the errors of the log, and then nothing was
// written; a [RowError] says that the schema refuses the row.
func (t *Table[V]) Put(key string, v V) error { return t.putUntil(key, v, 0) }

// PutTTL writes a row that is gone after ttl, to the millisecond.
func (t *Table[V]) PutTTL(key string, v V, ttl time.Duration) error {
	if ttl <= 0 {
		return fmt.Errorf("state: a ttl of %v", ttl)
	}
	return t.putUntil(key, v, millis(t.rows.store.o.Now().Add(ttl)))
}

func (t *Table[V]) putUntil(key string, v V, expiry uint64) error {
	b, err := t.encode(key, v)
	if err != nil {
		return err
	}
	return t.rows.put(key, b, expiry)
}

// millis is an instant in ms since 1970, rounded up; never 0.
func millis(at time.Time) uint64 {
	ms := at.Add(time.Millisecond - 1).UnixMilli()
	return uint64(max(ms, 1))
}

// Update reads, changes and writes a row while nobody else can write it. f gets ok = false if there is no row; its
// error ends the update and nothing is written. The row keeps its expiry. f must be quick and must not use the table.
func (t *Table[V]) Update(key string, f func(v V, ok bool) (V, error)) (V, error) {
	v, p, err := t.updateLocked(key, func(v V, ok bool, expiry uint64) (V, uint64, error) {
		v, err := f(v, ok)
		return v, expiry, err
	})
	return v, t.rows.acknowledge(p, err)
}

// updateLocked is Update with the expiry of the row, which f may change.
func (t *Table[V]) updateLocked(key string, f func(v V, ok bool, expiry uint64) (V, uint64, error)) (v V, p place, err error) {
	sh, tag := t.rows.hash(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i, r := t.rows.live(sh, tag, key)
	w := row{key: key, version: t.rows.version}
	if r != nil {
		w.expiry = r.expiry()
		if v, w.rest, err = t.present(key, r.image()); err != nil {
			return v, p, err
		}
	}
	if v, w.expiry, err = f(v, r != nil, w.expiry); err != nil {
		return v, p, err
	}
	if w.value, err = t.encode(key, v); err != nil {
		return v, p, err
	}
	p, err = t.rows.write(sh, tag, i, w)
	return v, p, err
}

// Delete removes a row and tells whether there was one.
func (t *Table[V]) Delete(key string) (bool, error) { return t.rows.remove(key) }

// Expire sets when a row is gone, and tells whether there is one. The zero time is never; one that has passed deletes.
func (t *Table[V]) Expire(key string, at time.Time) (bool, error) {
	if at.IsZero() {
		return t.rows.expire(key, 0)
	}
	if ms := millis(at); ms > t.rows.store.now() {
		return t.rows.expire(key, ms)
	}
	return t.rows.remove(key)
}

// Expiry returns when a row is gone, the zero time for never; ok tells whether there is one.
func (t *Table[V]) Expiry(key string) (at time.Time, ok bool) {
	expiry, ok := t.rows.expiry(key)
	if !ok || expiry == 0 {
		return time.Time{}, ok
	}
	return time.UnixMilli(int64(expiry)), true
}

// Len is the number of rows. Those that have expired within the last moments may be among them.
func (t *Table[V]) Len() int { return int(t.rows.count()) }

// Expired is the number of rows that this process has removed because they had expired.
func (t *Table[V]) Expired() uint64 { return t.rows.expired.Load() }

var errStop = errors.New("stop")

// Range calls f with each row until it returns false. The order is none; each row is as it was at some instant of the
// call, and one that is there all the while comes exactly once. f may use the table.
func (t *Table[V]) Range(f func(key string, v V) bool) error {
	err := t.rows.eachLive(func(r record) error {
		key := string(r.key())
		v, _, err := t.present(key, r.image())
		if err == nil && !f(key, v) {
			err = errStop
		}
		return err
	})
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

// Scan returns about n keys and the cursor to go on with; it begins with 0, and ends when the next cursor is 0. A row
// that is there from the first call to the last is returned exactly once. A cursor stays good in the next process.
func (t *Table[V]) Scan(cursor uint64, n int) (keys []string, next uint64) {
	return t.rows.scan(cursor, n)
}
