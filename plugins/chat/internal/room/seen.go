package room

import "time"

// Window is for how long the id of a message is remembered.
const Window = 5 * time.Minute

// seen are words that were used of late, each with the message in which it was used last.
type seen struct {
	window time.Duration
	limit  int // words
	last   map[string]used
	order  []used // the oldest first
}

type used struct {
	word   string
	at     time.Time
	offset uint64
}

func newSeen(window time.Duration, limit int) *seen {
	return &seen{window: window, limit: limit, last: map[string]used{}}
}

// idOf is the id of a message among all authors; "" if it has none.
func idOf(m Message) string {
	if m.ID == "" {
		return ""
	}
	return m.User + "\x00" + m.ID
}

// find is the message in which a word was used, and when, if that is remembered. The empty word never is.
func (s *seen) find(word string, now time.Time) (offset uint64, at time.Time, ok bool) {
	s.forget(now)
	u, ok := s.last[word]
	return u.offset, u.at, ok
}

// add remembers a word.
func (s *seen) add(word string, at time.Time, offset uint64) {
	if word == "" || s.window == 0 {
		return
	}
	u := used{word, at, offset}
	s.last[word] = u
	s.order = append(s.order, u)
	s.forget(at)
}

func (s *seen) forget(now time.Time) {
	n := 0
	for ; n < len(s.order) && (len(s.order)-n > s.limit || now.Sub(s.order[n].at) >= s.window); n++ {
		if u := s.order[n]; s.last[u.word] == u {
			delete(s.last, u.word)
		}
	}
	if s.order = s.order[n:]; len(s.order) == 0 {
		s.order = nil
	}
}
