package state

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/zeebo/xxh3"
	"golang.org/x/sync/errgroup"
)

// Rehearsal is what taking every row up, checking it and taking it down again has shown, or the other way round.
type Rehearsal struct {
	Rows    uint64
	Changed uint64 // rows that were converted
	Lossy   uint64 // of these, rows that did not come back as they were, by a declared loss
	Digest  string // of all rows as they are in the log, in no order
}

// Rehearse takes every row that is there through the steps up to this program's version, lets the schema check it,
// takes it down again and up once more. It writes nothing. A row that cannot be converted, is refused, or does not
// come back as it was without a declared loss ends it with a [RowError]. A row that is of this version already is
// only checked, if the schema has a Check.
//
// The second way up is taken with every row, also where the way down gave the very same bytes back and kept no rest: so a
// Step that asks a clock, chance or anything but its row is found even if it does so for one row in a million.
//
// It works on all processors but one, at a low priority, so that whoever serves meanwhile is not held up.
func (s *Store) Rehearse(ctx context.Context, progress func(done, total uint64)) (Rehearsal, error) {
	return s.rehearse(ctx, progress, func(t *rows, h *rehearser, r record) error {
		return h.up(t, r)
	})
}

// RehearseDown takes every row down to the versions given by table, which are older than this program's, and up
// again. It writes nothing and ends as Rehearse does. Where this store is the writer one goroutine does it, which
// rests as long as it works.
func (s *Store) RehearseDown(ctx context.Context, versions map[string]int32, progress func(done, total uint64)) (Rehearsal, error) {
	if err := s.checkShadows(versions); err != nil {
		return Rehearsal{}, err
	}
	return s.rehearse(ctx, progress, func(t *rows, h *rehearser, r record) error {
		return h.down(t, int(versions[t.name]), r)
	})
}

// trial is one rehearsal: its shards are shared out among the workers.
type trial struct {
	tables []*rows
	row    func(t *rows, h *rehearser, r record) error
	count  *counter
	next   atomic.Int64 // shard, over all tables
	writer bool
}

func (s *Store) rehearse(ctx context.Context, progress func(done, total uint64), row func(*rows, *rehearser, record) error) (Rehearsal, error) {
	w := &trial{tables: s.all(), row: row, count: newCounter(s.count(), progress), writer: s.Writer()}
	workers := make([]rehearser, w.workers())
	g, ctx := errgroup.WithContext(ctx)
	for i := range workers {
		g.Go(func() error { return w.work(ctx, &workers[i]) })
	}
	err := g.Wait()
	sum := merge(workers)
	if err == nil {
		w.count.end()
	}
	return sum, err
}

// workers leaves a processor to others; a writer is left nearly all.
func (w *trial) workers() int {
	if w.writer {
		return 1
	}
	return max(1, runtime.GOMAXPROCS(0)-1)
}

// work takes shards until none is left.
func (w *trial) work(ctx context.Context, h *rehearser) error {
	if !w.writer {
		defer stepBack()()
	}
	var c chunk
	for {
		n := int(w.next.Add(1) - 1)
		if n >= len(w.tables)*shardCount {
			return nil
		}
		t := w.tables[n/shardCount]
		err := t.chunksOf(ctx, &t.shards[n%shardCount], &c, func(_ *shard, c *chunk) error {
			return w.chunk(ctx, t, h, c)
		})
		if err != nil {
			return err
		}
	}
}

func (w *trial) chunk(ctx context.Context, t *rows, h *rehearser, c *chunk) error {
	rest := restAfter(w.writer)
	for _, it := range c.items {
		if it.rec.expired(t.store.now) {
			continue
		}
		h.Rows++
		h.mix(t.name, it.rec)
		if t.opaque {
			continue
		}
		if err := w.one(t, h, it.rec); err != nil {
			return err
		}
	}
	w.count.add(uint64(len(c.items)))
	return rest(ctx)
}

// one rehearses one row. Types that encode themselves may panic, beside steps and checks.
func (w *trial) one(t *rows, h *rehearser, r record) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = t.rowError(string(r.key()), fmt.Errorf("panic: %v", p))
		}
	}()
	h.lossy = false
	err = w.row(t, h, r)
	if h.lossy {
		h.Lossy++
	}
	return err
}

// rehearser is what one worker has found.
type rehearser struct {
	Rehearsal
	digest [16]byte
	buf    []byte
	own    slab
	lossy  bool // of the row at hand
}

func merge(workers []rehearser) (sum Rehearsal) {
	var digest [16]byte
	for i := range workers {
		h := &workers[i]
		sum.Rows, sum.Changed, sum.Lossy = sum.Rows+h.Rows, sum.Changed+h.Changed, sum.Lossy+h.Lossy
		for j := range digest {
			digest[j] ^= h.digest[j]
		}
	}
	sum.Digest = hex.EncodeToString(digest[:])
	return sum
}

// up takes one row up and checks it, and down and up again. What the service is given is its own: it may keep it, or
// write into it.
func (h *rehearser) up(t *rows, r record) error {
	version := r.version()
	if version == t.version && !t.checked {
		return nil
	}
	key := h.own.text(r.key())
	value, rest, err := t.present(key, r.imageOf(h.own.clone(r.body())))
	if err != nil {
		return err
	}
	if err := t.check(key, h.own.clone(value)); err != nil {
		return t.rowError(key, fmt.Errorf("check: %w", err))
	}
	if version == t.version {
		return nil
	}
	h.Changed++
	low, again, err := h.there(t, key, version, value, rest)
	if err == nil {
		err = h.same(t, version, "up and down", r.value(), low)
	}
	if err == nil {
		err = h.same(t, version, "up, down and up", value, again)
	}
	return t.rowError(key, err)
}

// down takes one row down to an older version and up again. What an older reader finds in a shape of its own already
// stays as it is.
func (h *rehearser) down(t *rows, to int, r record) error {
	if to == 0 || to >= t.version || r.version() <= to {
		return nil
	}
	key := h.own.text(r.key())
	value, rest, err := t.present(key, r.imageOf(h.own.clone(r.body())))
	if err != nil {
		return err
	}
	h.Changed++
	_, again, err := h.there(t, key, to, value, rest)
	if err == nil {
		err = h.same(t, to, "down and up", value, again)
	}
	return t.rowError(key, err)
}

// there takes a row of this program's version to an older one and back.
func (h *rehearser) there(t *rows, key string, to int, value, rest []byte) (low, again []byte, err error) {
	low, rest, err = t.steps.down(key, t.version, to, h.own.clone(value), rest)
	if err != nil {
		return nil, nil, err
	}
	if again, _, err = t.steps.up(key, to, h.own.clone(low), rest); err != nil {
		return nil, nil, fmt.Errorf("down and %w", err)
	}
	return low, again, nil
}

// same compares a row with what came back from a way over an older version.
func (h *rehearser) same(t *rows, version int, way string, was, is []byte) error {
	if bytes.Equal(was, is) {
		return nil
	}
	if !t.steps.lossy(version) {
		return fmt.Errorf("compare: %s gives another row, and no loss is declared: %s", way, differs(was, is))
	}
	h.lossy = true
	return nil
}

// mix adds a row to the digest, which does not depend on the order.
func (h *rehearser) mix(table string, r record) {
	b := append(append(append(h.buf[:0], table...), 0), r.key()...)
	h.buf = append(append(b, 0), r.value()...)
	sum := xxh3.Hash128(h.buf).Bytes()
	for i := range h.digest {
		h.digest[i] ^= sum[i]
	}
}
