package state

import (
	"context"
	"time"
)

// mover writes rows of a table again, in chunks: to give them another shape, or to empty old segments. Rows that
// change meanwhile are left to whoever changes them. What it builds it builds without a lock.
type mover struct {
	t     *rows
	pick  func(it item) bool
	build func(b []byte, r record) ([]byte, error) // adds the group of the row
	count *counter                                 // may be nil
	calm  bool                                     // rest as long as each chunk took

	mayGoOn func() error // asked before each chunk; may be nil
	groups  []byte
	moves   []move
}

// move is one row: its slot and where its group lies in the groups that were built.
type move struct {
	slot     uint64
	from, to int
}

func (m *mover) run(ctx context.Context) error {
	return m.t.chunks(ctx, func(sh *shard, c *chunk) error {
		began := time.Now()
		if err := m.chunk(sh, c); err != nil {
			return err
		}
		if m.count != nil {
			m.count.add(uint64(len(c.items)))
		}
		if m.calm && len(m.moves) > 0 {
			return pause(ctx, time.Since(began))
		}
		return nil
	})
}

func (m *mover) chunk(sh *shard, c *chunk) error {
	m.t.store.moving.Lock()
	defer m.t.store.moving.Unlock()
	if m.mayGoOn != nil {
		if err := m.mayGoOn(); err != nil {
			return err
		}
	}
	if err := m.prepare(c); err != nil {
		return err
	}
	return m.commit(sh)
}

// prepare builds the groups of the rows that are picked.
func (m *mover) prepare(c *chunk) (err error) {
	m.groups, m.moves = m.groups[:0], m.moves[:0]
	for _, it := range c.items {
		if !m.pick(it) {
			continue
		}
		from := len(m.groups)
		if m.groups, err = m.build(m.groups, it.rec); err != nil {
			return err
		}
		m.moves = append(m.moves, move{it.slot, from, len(m.groups)})
	}
	return nil
}

// commit appends the groups of the rows that are still the same, as one, and points the index to them.
func (m *mover) commit(sh *shard) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	m.settle(sh)
	if len(m.moves) == 0 {
		return nil
	}
	p, err := m.t.store.append(m.groups)
	if err != nil {
		return err
	}
	for _, v := range m.moves {
		location := p.location + uint64(v.from)>>3
		r := m.t.store.grid.record(location)
		m.t.set(sh, sh.index.find(v.slot), tagOf(v.slot), r, location)
	}
	return nil
}

// settle leaves the moves of rows that are still there, and closes the gaps between their groups. Rows that have
// expired are dropped.
func (m *mover) settle(sh *shard) {
	moves, groups := m.moves[:0], m.groups[:0]
	for _, v := range m.moves {
		i := sh.index.find(v.slot)
		if i < 0 {
			continue
		}
		if m.t.store.grid.record(locationOf(v.slot)).expired(m.t.store.now) {
			m.t.drop(sh, i)
			m.t.expired.Add(1)
			continue
		}
		from := len(groups)
		groups = append(groups, m.groups[v.from:v.to]...)
		moves = append(moves, move{v.slot, from, len(groups)})
	}
	m.moves, m.groups = moves, groups
}

// copy builds a row as it is.
func (t *rows) copy(b []byte, r record) ([]byte, error) {
	return t.group(b, r.again(string(r.key())))
}

// rewrite builds a row in this program's version.
func (t *rows) rewrite(b []byte, r record) ([]byte, error) {
	key := string(r.key())
	value, rest, err := t.present(key, r.image())
	if err != nil {
		return b, err
	}
	b, err = t.group(b, row{key: key, value: value, rest: rest, expiry: r.expiry(), version: t.version})
	return b, t.rowError(key, err)
}
