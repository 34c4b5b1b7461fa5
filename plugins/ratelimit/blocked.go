package main

import (
	"cmp"
	"slices"
	"sync"
)

// maxBlocked bounds the keys whose refused calls are counted.
const maxBlocked = 4096

// blocked counts refused calls since this process began, for the keys that are refused most. It is no part of the state:
// when there are too many keys all counts are halved, and those that come to nothing are forgotten.
type blocked struct {
	mu    sync.Mutex
	count map[[2]string]int64 // policy and key
}

// topLine is one key that was refused.
type topLine struct {
	Policy  string `json:"policy"`
	Key     string `json:"key"`
	Blocked int64  `json:"blocked"`
}

// note counts what blocked a call. What a dry run would have blocked counts as well.
func (b *blocked) note(v verdict) {
	for _, a := range v.answers {
		if !a.Allowed {
			b.add([2]string{a.ask.rule.name, a.ask.key})
		}
	}
}

func (b *blocked) add(key [2]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.count == nil {
		b.count = map[[2]string]int64{}
	}
	if _, known := b.count[key]; !known && len(b.count) >= maxBlocked {
		b.halve()
	}
	b.count[key]++
}

func (b *blocked) halve() {
	for key, n := range b.count {
		if n /= 2; n == 0 {
			delete(b.count, key)
		} else {
			b.count[key] = n
		}
	}
}

// top is the n keys that were refused most, equals by name.
func (b *blocked) top(n int) []topLine {
	b.mu.Lock()
	lines := make([]topLine, 0, len(b.count))
	for key, count := range b.count {
		lines = append(lines, topLine{key[0], key[1], count})
	}
	b.mu.Unlock()
	slices.SortFunc(lines, func(a, b topLine) int {
		return cmp.Or(cmp.Compare(b.Blocked, a.Blocked), cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Key, b.Key))
	})
	return lines[:min(n, len(lines))]
}
