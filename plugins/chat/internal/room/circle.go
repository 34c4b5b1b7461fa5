package room

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Seat is the place of a member in a room. The member makes one whenever it comes in, and does not change it.
type Seat struct {
	Room      string
	JoinLeave bool // it is told who comes and goes

	at   uint32 // where in the circle, if it is taken; the circle's lock guards it
	left atomic.Bool
}

// seated is a member in a seat.
type seated struct {
	Member
	seat *Seat
}

// circle is the members of one room. When the last has gone it is over, and the next to come makes another.
type circle struct {
	mu      sync.RWMutex
	list    []seated
	curious int // who are told who comes and goes
	over    bool
}

// add brings a member in, and is false if the circle is over.
func (c *circle) add(m seated) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || c.has(m.seat) {
		return !c.over
	}
	m.seat.at = uint32(len(c.list))
	c.list = append(c.list, m)
	c.counts(m.seat, 1)
	return true
}

// has is for those who hold the lock.
func (c *circle) has(s *Seat) bool {
	return int(s.at) < len(c.list) && c.list[s.at].seat == s
}

func (c *circle) counts(s *Seat, n int) {
	if s.JoinLeave {
		c.curious += n
	}
}

// drop takes a member out: was says that it was there, last that nobody is now.
func (c *circle) drop(s *Seat) (was, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.has(s) {
		return false, false
	}
	end := len(c.list) - 1
	moved := c.list[end]
	c.list[s.at], moved.seat.at = moved, s.at
	c.list[end] = seated{}
	c.list = c.list[:end]
	c.counts(s, -1)
	return true, end == 0
}

// clear takes all members out.
func (c *circle) clear() (list []seated) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list, c.list, c.curious = c.list, nil, 0
	return list
}

// close ends a circle without members, and is true the first time.
func (c *circle) close() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.list) > 0 || c.over {
		return false
	}
	c.over = true
	return true
}

// tell tells an event to those who want to know, and returns those who do not keep up.
func (c *circle) tell(e *Event) (slow []seated) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	said := e.Kind == Said
	if !said && c.curious == 0 {
		return nil
	}
	for _, m := range c.list {
		if (said || m.seat.JoinLeave) && !m.Hear(e) {
			slow = append(slow, m)
		}
	}
	return slow
}

func (c *circle) members() []seated {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Clone(c.list)
}

func (c *circle) size() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.list)
}
