package state

import (
	"cmp"
	"slices"
	"time"
)

// Batch is writes of rows, of any tables of one log, that are in the log all or none, whatever ends this process. Only a
// loss of power may leave the first of them without the others, in a batch that was not acknowledged yet or that has no row
// of a Durable table. Nothing is written before Commit. The zero value is empty.
type Batch struct {
	store  *Store
	writes []batched
}

// batched is one row of a batch.
type batched struct {
	t    *rows
	sh   *shard
	tag  uint32
	row  row
	from int // where its group begins, within those of all
}

// PutIn adds a row to a batch, gone at an instant as with PutUntil.
func (t *Table[V]) PutIn(b *Batch, key string, v V, at time.Time) error {
	value, err := t.encode(key, v)
	if err != nil {
		return err
	}
	r := row{key: key, value: value, version: t.rows.version}
	if !at.IsZero() {
		r.expiry = millis(at)
	}
	return b.add(t.rows, r)
}

func (b *Batch) add(t *rows, r row) error {
	if b.store != nil && b.store != t.store {
		panic("state: a batch of two logs")
	}
	b.store = t.store
	if err := t.fits(r); err != nil {
		return err
	}
	sh, tag := t.hash(r.key)
	b.writes = append(b.writes, batched{t: t, sh: sh, tag: tag, row: r})
	return nil
}

// Commit writes the rows; of two with one key the later counts. Its errors are those of Put, and then nothing was written.
func (b *Batch) Commit() error {
	if len(b.writes) == 0 {
		return nil
	}
	p, err := b.commitLocked()
	for _, w := range b.writes {
		if err == nil && w.t.durable {
			return b.store.waitSynced(p.end)
		}
	}
	return err
}

func (b *Batch) commitLocked() (place, error) {
	shards := b.shards()
	for _, sh := range shards {
		sh.mu.Lock()
	}
	defer func() {
		for _, sh := range shards {
			sh.mu.Unlock()
		}
	}()
	group, err := b.group()
	if err != nil {
		return place{}, err
	}
	p, err := b.store.append(group)
	if err != nil {
		return place{}, err
	}
	for _, w := range b.writes {
		location := p.location + uint64(w.from)>>3
		i, _ := w.t.lookup(w.sh, w.tag, w.row.key)
		w.t.set(w.sh, i, w.tag, b.store.grid.record(location), location)
	}
	return p, nil
}

// shards are those of the rows, each once, in an order that is the same for all batches.
func (b *Batch) shards() []*shard {
	sorted := slices.SortedFunc(slices.Values(b.writes), func(x, y batched) int {
		return cmp.Or(cmp.Compare(x.t.name, y.t.name), cmp.Compare(x.t.number(x.sh), y.t.number(y.sh)))
	})
	shards := make([]*shard, len(sorted))
	for i, w := range sorted {
		shards[i] = w.sh
	}
	return slices.Compact(shards)
}

// group is the groups of all rows, one behind the other. The shards are locked.
func (b *Batch) group() (all []byte, err error) {
	for i := range b.writes {
		w := &b.writes[i]
		_, r := w.t.live(w.sh, w.tag, w.row.key)
		if w.row.rest, err = w.t.kept(r); err != nil {
			return nil, w.t.rowError(w.row.key, err)
		}
		w.from = len(all)
		if all, err = w.t.group(all, w.row); err != nil {
			return nil, w.t.refuse(w.row.key, err)
		}
	}
	return all, nil
}
