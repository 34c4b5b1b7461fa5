package serve

import (
	"runtime"
	"sync"
)

// senders send what was pushed to connections with events: a few goroutines while there is something to send, else none. A
// connection that gets several messages before its turn is sent them in one call.
type senders struct {
	mu          sync.Mutex
	first, last *EventConn // that wait
	waiting     int
	running     int
}

const (
	sendBatch = 16 // connections that a sender takes at once
	sendEach  = 64 // connections that wait for each sender, before there is another one
)

var maxSenders = runtime.GOMAXPROCS(0)

func (s *senders) add(c *EventConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.first = c
	} else {
		s.last.next = c
	}
	s.last = c
	s.waiting++
	if s.running < maxSenders && s.waiting > s.running*sendEach {
		s.running++
		go s.run()
	}
}

func (s *senders) run() {
	var batch [sendBatch]*EventConn
	for n := s.take(batch[:]); n > 0; n = s.take(batch[:]) {
		for _, c := range batch[:n] {
			c.send()
		}
	}
}

// take takes those that have waited for longest. A sender for whom there is nothing is over.
func (s *senders) take(batch []*EventConn) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; n < len(batch) && s.first != nil; n++ {
		c := s.first
		s.first, c.next, batch[n] = c.next, nil, c
	}
	if s.waiting -= n; s.waiting == 0 {
		s.last = nil
	}
	if n == 0 {
		s.running--
	}
	return n
}
