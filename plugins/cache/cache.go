package main

import (
	"hash/maphash"
	"log/slog"
	"slices"
	"time"

	"github.com/theseusd/theseus/plugins/cache/internal/entry"
	"github.com/theseusd/theseus/plugins/cache/internal/hub"
)

// cache is the namespaces with their tables, and what makes commands of several steps atomic: see locks.
type cache struct {
	spaces  spaces
	tags    *tags
	locks   locks
	hub     hub.Hub
	table   []command
	byName  map[string]*command
	started time.Time
	clients ids
	log     *slog.Logger

	maxReply int // bytes
}

func newCache(log *slog.Logger) *cache {
	c := &cache{log: log, table: slices.Clone(commands), started: time.Now(), maxReply: maxReply}
	c.byName = index(c.table)
	c.locks.seed = maphash.MakeSeed()
	c.spaces.locks = &c.locks
	c.clients.first = c.started.UnixMicro()
	return c
}

// item is a value as a command sees it.
type item struct {
	entry.Entry
	until int64 // ms since 1970, 0 for ever
}

// live gives a value a time to live from now on, 0 for ever.
func (it *item) live(ttl, now int64) {
	it.TTL, it.until = ttl, 0
	if ttl > 0 {
		it.until = now + ttl
	}
}

// find is the value of a key, whose lock the caller holds. Its bytes are the caller's own.
func (c *cache) find(key []byte) (it item, ok bool, err error) {
	row, until, ok, err := c.spaces.of(key).rows.LookupUntil(view(key))
	if err != nil || !ok {
		return it, false, err
	}
	e, err := entry.Parse(row)
	if err != nil || len(e.Tags) > 0 && c.tags.dead(&e) {
		return it, false, err
	}
	return item{e, until}, true, nil
}

// peek is find for those who do not hold the key's lock. Between its row and its tags the sweep may remove both, so what
// has tags is looked at once more.
func (c *cache) peek(key []byte) (item, bool, error) {
	it, ok, err := c.find(key)
	if ok && len(it.Tags) > 0 {
		return c.find(key)
	}
	return it, ok, err
}

// look is find for commands that read: it counts, and a namespace may slide.
func (c *cache) look(key []byte) (it item, ok bool, err error) {
	it, ok, err = c.find(key)
	if err != nil {
		return it, false, err
	}
	s := c.spaces.of(key)
	if !ok {
		s.stats.misses.Add(1)
		return it, false, nil
	}
	s.stats.hits.Add(1)
	s.bound.touch(key)
	if s.Sliding && it.TTL > 0 {
		err = c.slide(s, key, &it)
	}
	return it, true, err
}

// slide lets a key live as long again as it was given, in steps of a sixteenth: not every read is a write.
func (c *cache) slide(s *space, key []byte, it *item) error {
	until := nowMillis() + it.TTL
	if until-it.until < it.TTL/16 {
		return nil
	}
	it.until = until
	_, err := s.rows.Expire(string(key), time.UnixMilli(until))
	return err
}

// kind is find for commands that work on one kind of value.
func (c *cache) kind(key []byte, k entry.Kind) (item, bool, error) {
	it, ok, err := c.find(key)
	return it, ok, wrongKind(it, ok, k, err)
}

// lookKind is look for commands that work on one kind of value.
func (c *cache) lookKind(key []byte, k entry.Kind) (item, bool, error) {
	it, ok, err := c.look(key)
	return it, ok, wrongKind(it, ok, k, err)
}

func wrongKind(it item, ok bool, k entry.Kind, err error) error {
	if err == nil && ok && it.Kind != k {
		return errKind
	}
	return err
}

// store writes a value; what has ended already is deleted.
func (c *cache) store(key []byte, it item) error {
	s := c.spaces.of(key)
	row := it.Append(make([]byte, 0, len(it.Payload)+16))
	at := time.Time{}
	if it.until != 0 {
		at = time.UnixMilli(it.until)
	}
	err := s.rows.PutUntil(string(key), row, at)
	if err == nil {
		s.stats.writes.Add(1)
		s.bound.set(key, len(row))
	}
	return err
}

// fresh is an item that begins to live now: as long as its namespace says.
func (c *cache) fresh(key []byte) (it item) {
	if ttl := c.spaces.of(key).TTL; ttl > 0 {
		it.live(ttl, nowMillis())
	}
	return it
}

// remove deletes a key, and tells whether it was there.
func (c *cache) remove(key []byte) (bool, error) {
	_, ok, err := c.find(key)
	if err != nil {
		ok = true // what cannot be read can be deleted
	}
	s := c.spaces.of(key)
	gone, err := s.rows.Delete(string(key))
	s.bound.forget(key)
	return gone && ok, err
}
