package main

import (
	"hash/maphash"
	"sync"
	"unsafe"
)

// locks make commands atomic. Whoever changes a key has its lock alone, whoever reads it shares it, and a command with
// many keys has all of their locks at once; so a transaction, or an MSET, is seen whole or not at all. What expires
// goes without a lock.
type locks struct {
	seed maphash.Seed
	all  [256]paddedLock
}

type paddedLock struct {
	sync.RWMutex
	_ [40]byte // to a cache line: neighbours do not disturb each other
}

// slots is a set of locks.
type slots [4]uint64

func (l *locks) slot(key []byte) int { return int(uint8(maphash.Bytes(l.seed, key))) }

func (s *slots) add(n int)      { s[n/64] |= 1 << (n % 64) }
func (s *slots) has(n int) bool { return s[n/64]&(1<<(n%64)) != 0 }
func (s *slots) addAll()        { *s = slots{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)} }

// of is the set of the locks of some keys.
func (l *locks) of(keys ...[]byte) (s slots) {
	for _, key := range keys {
		s.add(l.slot(key))
	}
	return s
}

// hold takes locks in their order, and unhold gives them back.
func (l *locks) hold(s slots, write bool) {
	for n := range l.all {
		if s.has(n) {
			l.all[n].take(write)
		}
	}
}

func (l *locks) unhold(s slots, write bool) {
	for n := range l.all {
		if s.has(n) {
			l.all[n].give(write)
		}
	}
}

func (p *paddedLock) take(write bool) {
	if write {
		p.Lock()
	} else {
		p.RLock()
	}
}

func (p *paddedLock) give(write bool) {
	if write {
		p.Unlock()
	} else {
		p.RUnlock()
	}
}

// alone runs f while nobody else uses the key.
func (l *locks) alone(key []byte, f func() error) error {
	p := &l.all[l.slot(key)]
	p.Lock()
	defer p.Unlock()
	return f()
}

// allAlone runs f while nobody else uses any key; held says that the caller has all locks already.
func (l *locks) allAlone(held bool, f func() error) error {
	if !held {
		var s slots
		s.addAll()
		l.hold(s, true)
		defer l.unhold(s, true)
	}
	return f()
}

// settle returns when all commands have ended that use a key now.
func (l *locks) settle() {
	for n := range l.all {
		l.all[n].take(false)
		l.all[n].give(false)
	}
}

// view is b as a string, without a copy: for a lookup.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
