package protocol

import (
	"slices"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
)

// subscription is a seat of a client or, once it is over, what is still to be told of one that it has lost.
type subscription struct {
	room.Seat
	over   bool
	why    room.Exit
	awaits uint32 // the command that the room has not answered yet; its frame is in hand, so this need not travel
}

// Marks of a subscription in a session. The Exit of one that is over stands above them.
const (
	markJoinLeave = 1 << iota
	markOver
	markBits = iota
)

func (s *subscription) marks() (m uint64) {
	if s.JoinLeave {
		m |= markJoinLeave
	}
	if s.over {
		m |= markOver | uint64(s.why)<<markBits
	}
	return m
}

// mark is the other end of marks.
func (s *subscription) mark(m uint64) {
	s.JoinLeave, s.over, s.why = m&markJoinLeave != 0, m&markOver != 0, room.Exit(m>>markBits)
}

// to is the subscription to a room, over or not; nil if there is none. It is for those who hold the lock.
func (c *client) to(name string) *subscription {
	for _, sub := range c.subs {
		if sub.Room == name {
			return sub
		}
	}
	return nil
}

// in is the subscription to a room that the client is in; nil if it is not.
func (c *client) in(name string) *subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	if sub := c.to(name); sub != nil && !sub.over {
		return sub
	}
	return nil
}

// those are the subscriptions that are over, or those that are not.
func (c *client) those(over bool) (list []*subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, sub := range c.subs {
		if sub.over == over {
			list = append(list, sub)
		}
	}
	return list
}

// begin makes a subscription that a room is to answer, in the place of one that is over.
func (c *client) begin(sub *subscription) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.to(sub.Room)
	switch {
	case before != nil && !before.over:
		return errAlready
	case before == nil && len(c.subs) >= maxRooms:
		return errLimit
	}
	c.drop(before)
	c.subs = append(c.subs, sub)
	return nil
}

// claim is for the first who answers a subscription: the room, or whoever has waited for it for too long. It is nil for others.
func (c *client) claim(name string, call uint32) *subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	sub := c.to(name)
	if sub == nil || sub.awaits != call {
		return nil
	}
	sub.awaits = 0
	return sub
}

// drop is for those who hold the lock.
func (c *client) drop(sub *subscription) {
	c.subs = slices.DeleteFunc(c.subs, func(s *subscription) bool { return s == sub })
}

// remove is the end of a subscription of which nobody has to be told; nil if there is none.
func (c *client) remove(name string) *subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	sub := c.to(name)
	c.drop(sub)
	return sub
}

// lose notes that a subscription is over, and is false if there is none on that seat.
func (c *client) lose(s *room.Seat, why room.Exit) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	sub := c.to(s.Room)
	if sub == nil || &sub.Seat != s {
		return false
	}
	sub.over, sub.why = true, why
	return true
}
