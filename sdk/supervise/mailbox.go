package supervise

import (
	"slices"
	"sync"
)

// exit is the end of a child.
type exit struct {
	child  *child
	pid    uint64
	reason error
}

// mailbox holds the exits that the supervisor has not seen. Putting never blocks.
type mailbox struct {
	wake chan struct{}

	mu    sync.Mutex
	queue []exit
}

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

func (m *mailbox) put(e exit) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.queue = append(m.queue, e)
	m.ring()
}

// next takes the oldest exit. Those that follow stay: what is done about this one may wait for them.
func (m *mailbox) next() (e exit, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queue) == 0 {
		return e, false
	}
	e, m.queue = m.queue[0], m.queue[1:]
	m.ring()
	return e, true
}

func (m *mailbox) take() []exit {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.queue
	m.queue = nil
	return list
}

// waiting is how many exits there are.
func (m *mailbox) waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.queue)
}

// pick takes the exit of one child and leaves the others.
func (m *mailbox) pick(c *child) (reason error, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, e := range m.queue {
		if e.child == c && e.pid == c.pid {
			m.queue = slices.Delete(m.queue, i, i+1)
			m.ring()
			return e.reason, true
		}
	}
	return nil, false
}

// ring says that there is something; the caller holds mu.
func (m *mailbox) ring() {
	if len(m.queue) == 0 {
		return
	}
	select {
	case m.wake <- struct{}{}:
	default:
	}
}
