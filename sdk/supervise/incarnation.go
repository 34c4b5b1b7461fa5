package supervise

import (
	"sync"
	"time"
)

// incarnation is one run of a child, from its start to its end.
type incarnation struct {
	of    *child
	child Child
	born  time.Time

	// Guarded by the mailbox, which is told of the end.
	over   bool
	orphan bool // written by the supervisor alone
	reason error
	watch  *watch
}

// watch waits for the end of several incarnations.
type watch struct {
	left int
	done chan struct{}
}

func (w *watch) less() {
	if w.left--; w.left == 0 {
		close(w.done)
	}
}

// message is the end of an incarnation, or something to do. A reason returned by do ends the supervisor.
type message struct {
	ended  *incarnation
	reason error
	do     func() error
}

// mailbox is what a supervisor hears, in order. It never refuses and never blocks; once closed it forgets.
type mailbox struct {
	mu     sync.Mutex
	queue  []message
	closed bool
	wake   chan struct{}
}

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

func (m *mailbox) put(msg message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.append(msg)
}

func (m *mailbox) append(msg message) {
	if m.closed {
		return
	}
	m.queue = append(m.queue, msg)
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// drain takes all there is; spare is used for what comes next.
func (m *mailbox) drain(spare []message) []message {
	clear(spare)
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.queue
	m.queue = spare[:0]
	return all
}

func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.queue = true, nil
}

// ended notes an end, once. Whoever watches for it is told, and otherwise the supervisor; an orphan's end is both
// told and returned as true.
func (m *mailbox) ended(inc *incarnation, reason error) (orphan bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if inc.over {
		return false
	}
	inc.over, inc.reason = true, reason
	if inc.watch != nil {
		inc.watch.less()
	} else {
		m.append(message{ended: inc, reason: reason})
	}
	return inc.orphan
}

// watchFor has the ends of all of them told to the watch instead of the supervisor.
func (m *mailbox) watchFor(all []*incarnation) *watch {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := &watch{left: 1, done: make(chan struct{})}
	for _, inc := range all {
		if !inc.over {
			inc.watch = w
			w.left++
		}
	}
	w.less()
	return w
}

// abandon stops watching for one that has not ended, and returns true; false if it has.
func (m *mailbox) abandon(inc *incarnation) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if inc.over {
		return false
	}
	inc.orphan = true
	inc.watch.less()
	inc.watch = nil
	return true
}

func (m *mailbox) outcome(inc *incarnation) (over bool, reason error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return inc.over, inc.reason
}
