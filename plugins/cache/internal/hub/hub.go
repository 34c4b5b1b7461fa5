// Package hub knows who listens to which channels.
package hub

import (
	"sync"

	"github.com/theseusd/theseus/plugins/cache/internal/glob"
)

// A Listener gets messages of parts, and must not wait for anything when it does.
type Listener interface{ Push(parts ...[]byte) error }

// Hub is all channels and patterns with their listeners. The zero value has none.
type Hub struct {
	mu       sync.RWMutex
	channels index
	patterns index
}

type index map[string]map[Listener]struct{}

func (x *index) add(name string, l Listener) {
	if *x == nil {
		*x = index{}
	}
	if (*x)[name] == nil {
		(*x)[name] = map[Listener]struct{}{}
	}
	(*x)[name][l] = struct{}{}
}

func (x index) remove(name string, l Listener) {
	delete(x[name], l)
	if len(x[name]) == 0 {
		delete(x, name)
	}
}

// Subscribe lets l hear a channel.
func (h *Hub) Subscribe(channel string, l Listener) { h.change(func() { h.channels.add(channel, l) }) }

// Unsubscribe is the end of it.
func (h *Hub) Unsubscribe(channel string, l Listener) {
	h.change(func() { h.channels.remove(channel, l) })
}

// PSubscribe lets l hear all channels that fit a pattern.
func (h *Hub) PSubscribe(pattern string, l Listener) {
	h.change(func() { h.patterns.add(pattern, l) })
}

// PUnsubscribe is the end of it.
func (h *Hub) PUnsubscribe(pattern string, l Listener) {
	h.change(func() { h.patterns.remove(pattern, l) })
}

func (h *Hub) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// Publish gives a message to all who listen, and counts them. Messages of one publisher come in their order.
func (h *Hub) Publish(channel, message []byte) (n int) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for l := range h.channels[string(channel)] {
		if l.Push([]byte("message"), channel, message) == nil {
			n++
		}
	}
	for pattern, all := range h.patterns {
		if !glob.Match([]byte(pattern), channel) {
			continue
		}
		for l := range all {
			if l.Push([]byte("pmessage"), []byte(pattern), channel, message) == nil {
				n++
			}
		}
	}
	return n
}

// Channels lists those that somebody listens to and that fit a pattern; nil is any.
func (h *Hub) Channels(pattern []byte) (list []string) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for name := range h.channels {
		if pattern == nil || glob.Match(pattern, []byte(name)) {
			list = append(list, name)
		}
	}
	return list
}

// Listeners counts those of a channel.
func (h *Hub) Listeners(channel string) int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.channels[channel])
}

// Patterns counts the patterns that somebody listens to.
func (h *Hub) Patterns() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.patterns)
}
