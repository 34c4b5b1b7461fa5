package main

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/theseusd/theseus/sdk/state"
)

// cache is the table and what makes commands of several steps atomic: whoever writes a key holds its lock.
type cache struct {
	rows    *state.Table[[]byte]
	locks   [256]sync.Mutex
	seed    maphash.Seed
	table   []command
	byName  map[string]*command
	started time.Time
	clients atomic.Int64 // that were given a number
}

func newCache(rows *state.Table[[]byte]) *cache {
	return &cache{rows: rows, seed: maphash.MakeSeed(), table: commands, byName: index(commands), started: time.Now()}
}

func (c *cache) slot(key []byte) uint8 { return uint8(maphash.Bytes(c.seed, key)) }

// lock locks one key.
func (c *cache) lock(key []byte) *sync.Mutex {
	mu := &c.locks[c.slot(key)]
	mu.Lock()
	return mu
}

// lockAll locks many keys, always in the same order. The function that it returns unlocks them.
func (c *cache) lockAll(keys [][]byte) (unlock func()) {
	slots := make([]uint8, len(keys))
	for i, key := range keys {
		slots[i] = c.slot(key)
	}
	slices.Sort(slots)
	slots = slices.Compact(slots)
	for _, s := range slots {
		c.locks[s].Lock()
	}
	return func() {
		for _, s := range slots {
			c.locks[s].Unlock()
		}
	}
}

// put stores a value until at, in milliseconds since 1970; 0 is for ever. What has expired already is deleted.
func (c *cache) put(key string, value []byte, at int64) error {
	if at == 0 {
		return c.rows.Put(key, value)
	}
	return c.rows.PutUntil(key, value, time.UnixMilli(at))
}
