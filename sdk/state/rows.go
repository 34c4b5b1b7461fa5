package state

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"github.com/theseusd/theseus/sdk/describe"
)

// opaqueVersion makes every row readable as it is: those of a table that this program does not know.
const opaqueVersion = math.MaxUint16

// rows is a table without the type of its rows: an index in front of the log.
type rows struct {
	store   *Store
	name    string
	schema  string
	version int // of the rows that are written here
	steps   steps
	shape   shape
	durable bool
	opaque  bool
	check   func(key string, value []byte) error // of rows in this version
	checked bool                                 // the schema has a Check
	ended   func(key []byte)                     // is told of rows that expire
	passing bool                                 // the rows end with the process that wrote them

	shadows atomic.Pointer[[]int]
	expired atomic.Uint64
	newer   atomic.Int64 // rows that are there in a newer shape only
	shards  [shardCount]shard
}

// image is a row as it was copied out of the log.
type image struct {
	value, rest []byte
	version     int
	expiry      uint64
}

// read copies the row of a key.
func (t *rows) read(key string) (image, bool) {
	sh, tag := t.hash(key)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	_, r := t.live(sh, tag, key)
	if r == nil {
		return image{}, false
	}
	return r.image(), true
}

func (r record) image() image { return r.imageOf(append([]byte(nil), r.body()...)) }

// imageOf is the image with a copy of the body.
func (r record) imageOf(body []byte) image {
	n := len(body) - r.restLen()
	return image{value: body[:n:n], rest: body[n:], version: r.version(), expiry: r.expiry()}
}

// present converts an image to this program's version.
func (t *rows) present(key string, m image) (value, rest []byte, err error) {
	if m.version == t.version {
		return m.value, m.rest, nil
	}
	if m.version > t.version {
		return nil, nil, &NewerError{Table: t.name, Key: key, Version: m.version, Known: t.version}
	}
	value, rest, err = t.steps.up(key, m.version, m.value, m.rest)
	return value, rest, t.rowError(key, err)
}

func (t *rows) rowError(key string, err error) error {
	if err == nil {
		return nil
	}
	return &RowError{Table: t.name, Key: key, Err: err}
}

// put writes a row, which keeps what it holds for newer versions.
func (t *rows) put(key string, value []byte, expiry uint64) error {
	p, err := t.putLocked(key, value, expiry)
	return t.acknowledge(p, err)
}

func (t *rows) putLocked(key string, value []byte, expiry uint64) (place, error) {
	sh, tag := t.hash(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i, r := t.live(sh, tag, key)
	kept, err := t.kept(r)
	if err != nil {
		return place{}, t.rowError(key, err)
	}
	return t.write(sh, tag, i, row{key: key, value: value, rest: kept, expiry: expiry, version: t.version})
}

// kept is what a row holds for versions newer than this program's.
func (t *rows) kept(r record) ([]byte, error) {
	if r == nil || r.restLen() == 0 || r.version() == t.version {
		if r == nil {
			return nil, nil
		}
		return r.rest(), nil
	}
	all, err := readRests(nil, r.rest())
	if err != nil {
		return nil, err
	}
	newer, _ := all.find(t.version)
	return all[newer:].bytes(), nil
}

// maxBuffer is the size of a buffer that is worth keeping.
const maxBuffer = 1 << 20

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// write commits a row and indexes it. The caller holds the lock of the shard; i is the place of the key now.
func (t *rows) write(sh *shard, tag uint32, i int, r row) (place, error) {
	if err := t.fits(r); err != nil {
		return place{}, err
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	b, err := t.group((*buf)[:0], r)
	if err != nil {
		return place{}, t.refuse(r.key, err)
	}
	if cap(b) <= maxBuffer {
		*buf = b
	}
	p, err := t.store.append(b)
	if err != nil {
		return place{}, err
	}
	if r.flags&flagDelete == 0 {
		t.set(sh, i, tag, t.store.grid.record(p.location), p.location)
	} else if i >= 0 {
		t.drop(sh, i)
	}
	return p, nil
}

// fits returns an error if a row is too large.
func (t *rows) fits(r row) error {
	r.table = t.name
	if len(r.key) > MaxKey || r.size() > MaxRow {
		return t.rowError(r.key[:min(len(r.key), 64)], ErrTooLarge)
	}
	return nil
}

// refuse remembers the first row that has no way down, for those who watch over a version on probation.
func (t *rows) refuse(key string, err error) error {
	t.store.refused.CompareAndSwap(nil, &Refusal{Table: t.name, Key: key, Reason: err.Error()})
	return t.rowError(key, fmt.Errorf("%w: %w", ErrNoWayDown, err))
}

// group adds the record of a row and of its shadows to b.
func (t *rows) group(b []byte, r row) ([]byte, error) {
	var older []int
	if list := t.older(); len(list) > 0 && list[0] < r.version && r.flags&flagDelete == 0 {
		older = list
	}
	r.table, r.shadows = t.name, byte(len(older))
	b = r.append(b)
	for _, v := range older {
		own := bytes.Clone(r.value) // the row may lie in the log, and a Step may write into what it is given
		value, rest, err := t.steps.down(r.key, r.version, v, own, r.rest)
		if err != nil {
			return b, err
		}
		shadow := row{table: r.table, key: r.key, value: value, rest: rest, expiry: r.expiry, version: v, flags: flagShadow}
		b = shadow.append(b)
	}
	return b, nil
}

// acknowledge waits for the disk if the table promises that.
func (t *rows) acknowledge(p place, err error) error {
	if err != nil || !t.durable {
		return err
	}
	return t.store.waitSynced(p.end)
}

// remove deletes a row.
func (t *rows) remove(key string) (bool, error) {
	p, found, err := t.removeLocked(key)
	if !found {
		return false, err
	}
	return true, t.acknowledge(p, err)
}

func (t *rows) removeLocked(key string) (p place, found bool, err error) {
	sh, tag := t.hash(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i, r := t.live(sh, tag, key)
	if r == nil {
		return p, false, t.store.mayWrite()
	}
	p, err = t.write(sh, tag, i, row{key: key, version: t.version, flags: flagDelete})
	return p, err == nil, err
}

// expire sets the end of a row's life, 0 = none.
func (t *rows) expire(key string, expiry uint64) (bool, error) {
	p, found, err := t.expireLocked(key, expiry)
	if !found {
		return false, err
	}
	return true, t.acknowledge(p, err)
}

func (t *rows) expireLocked(key string, expiry uint64) (p place, found bool, err error) {
	sh, tag := t.hash(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i, r := t.live(sh, tag, key)
	if r == nil {
		return p, false, t.store.mayWrite()
	}
	again := r.again(key)
	again.expiry = expiry
	p, err = t.write(sh, tag, i, again)
	return p, err == nil, err
}

// again is the row of a record, to be written once more as it is.
func (r record) again(key string) row {
	return row{key: key, value: r.value(), rest: r.rest(), expiry: r.expiry(), version: r.version()}
}

// mayWrite returns ErrNotWriter on a follower.
func (s *Store) mayWrite() error {
	if !s.Writer() {
		return ErrNotWriter
	}
	return nil
}

// count is the number of rows; some that have just expired may be among them.
func (t *rows) count() (n uint64) {
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.RLock()
		n += uint64(sh.index.live)
		sh.mu.RUnlock()
	}
	return n
}

// bytes is the size of the rows in the log.
func (t *rows) bytes() (n uint64) {
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.RLock()
		n += sh.bytes
		sh.mu.RUnlock()
	}
	return n
}

// clear forgets all rows, so that nobody reads mapped memory any more.
func (t *rows) clear() {
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.Lock()
		sh.index, sh.deadlines, sh.mortal, sh.bytes = index{}, nil, 0, 0
		sh.due.Store(0)
		sh.mu.Unlock()
	}
}

// readable returns an error if a row is there in a newer shape only.
func (t *rows) readable() error {
	if t.newer.Load() == 0 {
		return nil
	}
	var found error
	_ = t.each(context.Background(), func(it item) error {
		if it.rec.version() > t.version && !it.rec.expired(t.store.now) {
			found = &NewerError{Table: t.name, Key: string(it.rec.key()), Version: it.rec.version(), Known: t.version}
			return found
		}
		return nil
	})
	return found
}

func (t *rows) describe() describe.Table {
	return describe.Table{
		Name: t.name, Schema: t.schema, Version: t.version, Shape: t.shape.String(), Durable: t.durable,
		Steps: t.steps.describe(t.shape),
	}
}

// expiry returns when the row of a key is gone, 0 = never.
func (t *rows) expiry(key string) (uint64, bool) {
	sh, tag := t.hash(key)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	_, r := t.live(sh, tag, key)
	if r == nil {
		return 0, false
	}
	return r.expiry(), true
}
