package main

import (
	"bytes"

	"github.com/zeebo/xxh3"

	"github.com/theseusd/theseus/sdk/serve/resp"
)

// transaction is what MULTI and WATCH have begun. The words come again in the next version, see resp.Conn.Hold; the
// stamp is in the session.
type transaction struct {
	multi   bool
	spoiled bool // a command was refused: EXEC will not run
	queued  []queued
	watched [][]byte
	stamp   uint64 // of all watched values as they were; 0: none
}

// queued is a command that waits for EXEC.
type queued struct {
	cmd  *command
	args [][]byte
}

// maxQueue is how many bytes of commands may wait for EXEC.
const maxQueue = 64 << 20

// spoil takes note of a command that was refused. The first one is held, so that the next version refuses it too.
func (q *call) spoil() {
	if t := &q.client.transaction; t.multi && !t.spoiled {
		t.spoiled = true
		q.conn.Hold()
	}
}

// end forgets all of it.
func (t *transaction) end(conn *resp.Conn) {
	*t = transaction{}
	conn.Release()
}

// ends is true for the commands that are not queued.
func (cmd *command) ends() bool {
	switch cmd.name {
	case "multi", "exec", "discard", "watch", "reset":
		return true
	}
	return cmd.alone
}

func (c *cache) multi(q *call) error {
	if q.client.multi {
		return errNested
	}
	q.client.multi = true
	q.conn.Hold()
	q.ok()
	return nil
}

// queue remembers a command for EXEC.
func (c *cache) queue(cmd *command, q *call) error {
	if q.conn.Held() > maxQueue {
		q.spoil()
		return errQueue
	}
	args := make([][]byte, len(q.args))
	for i, arg := range q.args {
		args[i] = bytes.Clone(arg)
	}
	q.client.queued = append(q.client.queued, queued{cmd, args})
	q.conn.Hold()
	q.status("QUEUED")
	return nil
}

func (c *cache) discard(q *call) error {
	if !q.client.multi {
		return errNoDiscard
	}
	return q.okIf(q.client.finish(q))
}

// finish ends a transaction, and forgets in the session what was watched.
func (cl *client) finish(q *call) error {
	watched := cl.stamp != 0
	cl.end(q.conn)
	if !watched {
		return nil
	}
	return cl.keep()
}

// watch keeps a stamp of the values of keys. In the version after, keys come again and the stamp is there.
func (c *cache) watch(q *call) error {
	cl := q.client
	if cl.multi {
		return errWatching
	}
	if q.conn.Held() > maxQueue {
		return errQueue
	}
	for _, key := range q.args[1:] {
		cl.watched = append(cl.watched, bytes.Clone(key))
		if q.conn.Again() {
			continue
		}
		stamp, err := c.stampOf(cl.stamp, key)
		if err != nil {
			return err
		}
		cl.stamp = stamp
	}
	q.conn.Hold()
	return q.okIf(cl.keep())
}

// stampOf adds the value of a key to a stamp. The same value is the same stamp: what was written and is as it was does
// not stop a transaction.
func (c *cache) stampOf(before uint64, key []byte) (uint64, error) {
	it, ok, err := c.find(key)
	if err != nil {
		return 0, err
	}
	sum := xxh3.HashSeed(key, before)
	if ok {
		sum = xxh3.HashSeed(it.Payload, sum+1+uint64(it.Kind))
	}
	return max(sum, 1), nil
}

func (c *cache) unwatch(q *call) error {
	if q.client.multi || q.client.stamp == 0 {
		q.ok()
		return nil
	}
	return q.okIf(q.client.finish(q))
}

// exec runs what is queued, unless a watched value has changed. All locks are held at once, so nobody sees a part of it.
func (c *cache) exec(q *call) error {
	cl := q.client
	if !cl.multi {
		return errNoMulti
	}
	t := cl.transaction
	if err := cl.finish(q); err != nil {
		return err
	}
	if t.spoiled {
		return errAborted
	}
	q.collect(c.maxReply)
	defer q.send()
	return c.commit(q, &t)
}

// commit runs what is queued with all locks held.
func (c *cache) commit(q *call, t *transaction) error {
	s := c.locksOf(t)
	c.locks.hold(s, true)
	defer c.locks.unhold(s, true)
	same, err := c.unchanged(t)
	switch {
	case err != nil:
		return err
	case !same:
		q.conn.WriteNullArray()
		return nil
	}
	c.runAll(q, t.queued)
	return nil
}

// locksOf is all locks that a transaction needs.
func (c *cache) locksOf(t *transaction) slots {
	s := c.locks.of(t.watched...)
	for _, each := range t.queued {
		if each.cmd.first == 0 && each.cmd.write {
			s.addAll()
		}
		for _, key := range each.cmd.keys(each.args) {
			s.add(c.locks.slot(key))
		}
	}
	return s
}

func (c *cache) unchanged(t *transaction) (bool, error) {
	stamp := uint64(0)
	for _, key := range t.watched {
		var err error
		if stamp, err = c.stampOf(stamp, key); err != nil {
			return false, err
		}
	}
	return stamp == t.stamp, nil
}

// runAll answers each command by itself; one whose answer is too much for that of all has run nevertheless.
func (c *cache) runAll(q *call, all []queued) {
	q.exec = true
	defer func() { q.exec = false }()
	q.array(len(all))
	for _, each := range all {
		q.word, q.args = each.cmd.name, each.args
		mark := q.conn.Buffered()
		if err := q.whole(mark, each.cmd.run(c, q)); err != nil {
			q.fail(err)
		}
	}
}
