package room

import "time"

// Window is for how long the id of a message is remembered.
const Window = 5 * time.Minute

// seen are the ids that were used of late, with the offsets of their messages.
type seen struct {
	offsets map[string]uint64
	order   []used // the oldest first
	limit   int
}

type used struct {
	id string
	at time.Time
}

func newSeen(limit int) *seen { return &seen{offsets: map[string]uint64{}, limit: limit} }

// idOf is the id of a message among all authors; "" if it has none.
func idOf(m Message) string {
	if m.ID == "" {
		return ""
	}
	return m.User + "\x00" + m.ID
}

// find is the offset of the message with this one's id, if there is one.
func (s *seen) find(m Message) (uint64, bool) {
	s.forget(m.At)
	offset, ok := s.offsets[idOf(m)]
	return offset, ok
}

// add remembers a message.
func (s *seen) add(m Message, offset uint64) {
	id := idOf(m)
	if id == "" {
		return
	}
	s.offsets[id] = offset
	s.order = append(s.order, used{id, m.At})
	s.forget(m.At)
}

func (s *seen) forget(now time.Time) {
	n := 0
	for n < len(s.order) && (len(s.order)-n > s.limit || now.Sub(s.order[n].at) > Window) {
		delete(s.offsets, s.order[n].id)
		n++
	}
	if s.order = s.order[n:]; len(s.order) == 0 {
		s.order = nil
	}
}
