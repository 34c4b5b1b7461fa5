package main

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/maypok86/otter/v2"
)

// bound keeps a namespace from growing: it knows the keys, with what each weighs, and says which of them are worth
// least. The values stay in the table. After a start or a switch it is told of the keys that are there beside the
// clients' commands; until then it may let the namespace be too large. A nil bound is none.
type bound struct {
	ss     *spaces
	s      *space
	byte   bool
	worth  *otter.Cache[string, uint32]
	filled atomic.Bool
}

func newBound(ss *spaces, s *space) (*bound, error) {
	b := &bound{ss: ss, s: s, byte: s.MaxBytes > 0}
	limit := max(s.MaxEntries, s.MaxBytes)
	if limit == 0 {
		return nil, nil
	}
	var err error
	b.worth, err = otter.New(&otter.Options[string, uint32]{
		MaximumWeight: uint64(limit),
		Weigher:       func(_ string, weight uint32) uint32 { return weight },
		OnDeletion:    b.deleted,
	})
	if err != nil {
		return nil, fmt.Errorf("namespace %s: %w", s.name, err)
	}
	return b, nil
}

// deleted removes the value of a key that had to go. It is told in a goroutine of its own, which holds no lock of the bound,
// and some time after: the key may have been set again, and the namespace may have another bound.
func (b *bound) deleted(e otter.DeletionEvent[string, uint32]) {
	if !e.WasEvicted() {
		return
	}
	_ = b.ss.locks.alone([]byte(e.Key), func() error {
		if _, again := b.worth.GetEntryQuietly(e.Key); again || b.ss.of([]byte(e.Key)) != b.s {
			return nil
		}
		gone, err := b.s.rows.Delete(e.Key)
		if gone && err == nil {
			b.s.stats.evicted.Add(1)
		}
		return err
	})
}

func (b *bound) weight(key, row int) uint32 {
	if !b.byte {
		return 1
	}
	return uint32(min(int64(key)+int64(row), math.MaxUint32))
}

// set takes note of a key that was written.
func (b *bound) set(key []byte, row int) {
	if b != nil {
		b.worth.Set(string(key), b.weight(len(key), row))
	}
}

// touch takes note of a key that was read.
func (b *bound) touch(key []byte) {
	if b != nil {
		b.worth.GetIfPresent(view(key))
	}
}

// forget takes note of a key that is gone.
func (b *bound) forget(key []byte) {
	if b != nil {
		b.worth.Invalidate(string(key))
	}
}

func (b *bound) size() (entries, bytes int64) {
	if b.byte {
		bytes = int64(b.worth.WeightedSize())
	}
	return int64(b.worth.EstimatedSize()), bytes
}

// fillBounds tells bounds of the keys that are there.
func (ss *spaces) fillBounds(ctx context.Context) {
	for _, s := range ss.every() {
		if s.bound == nil || s.bound.filled.Load() {
			continue
		}
		_ = s.rows.Range(func(key string, row []byte) bool {
			if s.has(key) {
				s.bound.worth.SetIfAbsent(key, s.bound.weight(len(key), len(row)))
			}
			return ctx.Err() == nil
		})
		s.bound.filled.Store(ctx.Err() == nil)
	}
}
