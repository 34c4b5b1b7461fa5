package state

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/zeebo/xxh3"
)

// Rehearsal is what taking every row up, checking it and taking it down again has shown.
type Rehearsal struct {
	Rows    uint64
	Changed uint64 // rows of an older version
	Lossy   uint64 // of these, rows that did not come back as they were, by a declared loss
	Digest  string // of all rows as they are in the log, in no order
}

// errChanged says that a row did not come back from its way up and down as it was.
var errChanged = errors.New("up and down again gives another row, and no loss is declared")

// Rehearse takes every row that is there through the steps up to this program's version, lets the schema check it and
// takes it down again. It writes nothing. A row that cannot be converted, is refused, or does not come back as it was
// without a declared loss ends it with a [RowError].
func (s *Store) Rehearse(ctx context.Context, progress func(done, total uint64)) (Rehearsal, error) {
	h := rehearsal{count: newCounter(s.count(), progress)}
	for _, t := range s.all() {
		if err := h.table(ctx, t); err != nil {
			return h.Rehearsal, err
		}
	}
	h.count.end()
	h.Digest = hex.EncodeToString(h.digest[:])
	return h.Rehearsal, nil
}

type rehearsal struct {
	Rehearsal
	digest [16]byte
	buf    []byte
	count  *counter
}

func (h *rehearsal) table(ctx context.Context, t *rows) error {
	return t.chunks(ctx, func(_ *shard, c *chunk) error {
		for _, it := range c.items {
			if it.rec.expired(t.store.now) {
				continue
			}
			if err := h.row(t, string(it.rec.key()), it.rec.image()); err != nil {
				return err
			}
		}
		h.count.add(uint64(len(c.items)))
		return nil
	})
}

// row takes one row up and down again. A panic in a step or a check is an error of the row.
func (h *rehearsal) row(t *rows, key string, was image) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = t.rowError(key, fmt.Errorf("panic: %v", p))
		}
	}()
	h.Rows++
	h.mix(t.name, key, was.value)
	if t.opaque {
		return nil
	}
	value, rest, err := t.present(key, was)
	if err != nil {
		return err
	}
	if err := t.check(key, value); err != nil {
		return t.rowError(key, err)
	}
	if was.version == t.version {
		return nil
	}
	h.Changed++
	return t.rowError(key, h.back(t, key, value, rest, was))
}

// back takes a row down again and compares it with what it was.
func (h *rehearsal) back(t *rows, key string, value, rest []byte, was image) error {
	again, _, err := t.steps.down(key, t.version, was.version, value, rest)
	if err != nil || bytes.Equal(again, was.value) {
		return err
	}
	if !t.steps.lossy(was.version) {
		return errChanged
	}
	h.Lossy++
	return nil
}

// mix adds a row to the digest, which does not depend on the order.
func (h *rehearsal) mix(table, key string, value []byte) {
	h.buf = append(append(append(append(append(h.buf[:0], table...), 0), key...), 0), value...)
	sum := xxh3.Hash128(h.buf).Bytes()
	for i := range h.digest {
		h.digest[i] ^= sum[i]
	}
}
