package state

import (
	"context"
	"sync"
)

// item is a row as it was at some instant: its slot and a copy of its record.
type item struct {
	slot uint64
	rec  record
}

// chunk is some rows of one shard; it is used again and again.
type chunk struct {
	items []item
	arena []byte
}

const (
	chunkRows  = 256
	chunkBytes = 256 << 10
)

// gather fills the chunk with copies of the rows of a shard from the tag from on, a bounded number of them under one
// lock, and returns the tag to go on with; tagLimit is the end. A row that is there all the while is in exactly one
// of the chunks that follow each other.
func (t *rows) gather(c *chunk, sh *shard, from uint32) (next uint32) {
	c.items, c.arena = c.items[:0], c.arena[:0]
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	next = sh.index.span(from, t.homes(sh), func(slot uint64) {
		c.items = append(c.items, item{slot: slot})
		c.arena = append(c.arena, t.store.grid.record(locationOf(slot))...)
	})
	at := uint64(0)
	for i := range c.items {
		r := record(c.arena[at:])
		c.items[i].rec = r[:r.size():r.size()]
		at += r.size()
	}
	return next
}

// homes is the number of homes whose rows make up about one chunk.
func (t *rows) homes(sh *shard) int {
	if sh.index.live == 0 {
		return chunkRows
	}
	limit := min(chunkBytes, uint64(t.store.o.SegmentSize)/4)
	average := sh.bytes/uint64(sh.index.live) + 1
	return int(min(chunkRows, max(1, limit/average)))
}

// chunks calls f with all rows in chunks; f holds no lock.
func (t *rows) chunks(ctx context.Context, f func(sh *shard, c *chunk) error) error {
	var c chunk
	for i := range t.shards {
		if err := t.chunksOf(ctx, &t.shards[i], &c, f); err != nil {
			return err
		}
	}
	return nil
}

// chunksOf is chunks for one shard, with a chunk to be used again.
func (t *rows) chunksOf(ctx context.Context, sh *shard, c *chunk, f func(sh *shard, c *chunk) error) error {
	for from := uint32(0); from < tagLimit; {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		from = t.gather(c, sh, from)
		if err := f(sh, c); err != nil {
			return err
		}
	}
	return nil
}

// each calls f with each row, for as long as it returns no error. The record is a copy that lives as long as the call.
func (t *rows) each(ctx context.Context, f func(it item) error) error {
	return t.chunks(ctx, func(_ *shard, c *chunk) error {
		for _, it := range c.items {
			if err := f(it); err != nil {
				return err
			}
		}
		return nil
	})
}

// scan returns the keys of about n rows from the cursor on.
func (t *rows) scan(cursor uint64, n int) (keys []string, next uint64) {
	for shard, from := cursor>>tagBits, uint32(cursor%tagLimit); shard < shardCount; shard, from = shard+1, 0 {
		for from < tagLimit {
			if len(keys) >= max(n, 1) {
				return keys, shard<<tagBits | uint64(from)
			}
			keys, from = t.scanShard(keys, &t.shards[shard], from, max(n, 1)-len(keys))
		}
	}
	return keys, 0
}

func (t *rows) scanShard(keys []string, sh *shard, from uint32, n int) ([]string, uint32) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	from = sh.index.span(from, n, func(slot uint64) {
		if r := t.store.grid.record(locationOf(slot)); !r.expired(t.store.now) {
			keys = append(keys, string(r.key()))
		}
	})
	return keys, from
}

// counter tells how far a long work has come; several goroutines may add to it.
type counter struct {
	mu          sync.Mutex
	done, total uint64
	progress    func(done, total uint64) // under mu
}

func newCounter(total uint64, progress func(done, total uint64)) *counter {
	if progress == nil {
		progress = func(done, total uint64) {}
	}
	return &counter{total: total, progress: progress}
}

func (c *counter) add(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done += n
	c.progress(c.done, max(c.done, c.total))
}

func (c *counter) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress(c.done, c.done)
}

// eachLive calls f with each row that has not expired.
func (t *rows) eachLive(f func(r record) error) error {
	return t.each(context.Background(), func(it item) error {
		if it.rec.expired(t.store.now) {
			return nil
		}
		return f(it.rec)
	})
}
