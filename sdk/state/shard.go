package state

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/zeebo/xxh3"
)

const shardCount = 256

// shard is a part of a table under one lock. Whoever changes a row holds it from before the append until the index
// points to the new record, so the order of a key's records in the log is the order in which they were indexed.
type shard struct {
	mu        sync.RWMutex
	index     index
	deadlines deadlines
	due       atomic.Uint64 // the first deadline, 0 = none
	mortal    int           // rows with an expiry
	bytes     uint64        // of the records that the index points to
	_         [48]byte      // to a multiple of a cache line
}

// hash splits the hash of a key into its shard and its tag.
func (t *rows) hash(key string) (*shard, uint32) {
	h := xxh3.HashStringSeed(key, t.store.seed.Load())
	return &t.shards[h>>56], uint32(h>>32) & (tagLimit - 1)
}

// number is the place of a shard among those of its table.
func (t *rows) number(sh *shard) uintptr {
	return (uintptr(unsafe.Pointer(sh)) - uintptr(unsafe.Pointer(&t.shards[0]))) / unsafe.Sizeof(*sh)
}

// view is b as a string, without a copy: for the length of a call, while b stays as it is.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// lookup returns the place and the record of a key, -1 if there is none. Expired rows are found.
func (t *rows) lookup(sh *shard, tag uint32, key string) (int, record) {
	x := &sh.index
	if len(x.slots) == 0 {
		return -1, nil
	}
	for i := x.home(tag); x.slots[i] != 0; i = (i + 1) & x.mask() {
		if tagOf(x.slots[i]) != tag {
			continue
		}
		if r := t.store.grid.record(locationOf(x.slots[i])); r.is(key) {
			return i, r
		}
	}
	return -1, nil
}

// live is lookup without the record of a row that has expired.
func (t *rows) live(sh *shard, tag uint32, key string) (int, record) {
	i, r := t.lookup(sh, tag, key)
	if i >= 0 && r.expired(t.store.now) {
		return i, nil
	}
	return i, r
}

// set points the key of r to r. i is the place where the key is now, -1 if it is new.
func (t *rows) set(sh *shard, i int, tag uint32, r record, location uint64) {
	slot := slotOf(tag, location)
	if i >= 0 {
		t.forget(sh, t.store.grid.record(locationOf(sh.index.slots[i])))
		sh.index.slots[i] = slot
	} else {
		sh.index.insert(slot)
	}
	sh.bytes += r.stride()
	if r.version() > t.version {
		t.newer.Add(1)
	}
	if r.mortal() {
		sh.remember(slot, r.expiry())
	}
}

// drop removes the key at the place i.
func (t *rows) drop(sh *shard, i int) {
	t.forget(sh, t.store.grid.record(locationOf(sh.index.slots[i])))
	sh.index.remove(i)
}

// forget takes a record out of the counts.
func (t *rows) forget(sh *shard, r record) {
	sh.bytes -= r.stride()
	if r.version() > t.version {
		t.newer.Add(-1)
	}
	if r.mortal() {
		sh.mortal--
	}
}
