package clock

import (
	"sync"
	"testing"
	"time"
)

// steps is a wall clock that can be set: a time with a monotonic reading cannot be made by hand.
type steps struct{ passed, set time.Duration }

func (s *steps) now(c *Clock) int64 {
	passed := int64(s.passed)
	return c.at(passed, c.first+passed+int64(s.set))
}

func TestClockNeverGoesBackAndFollowsForward(t *testing.T) {
	c, s := New(), steps{}
	first := s.now(c)
	s.set = -time.Hour
	if got := s.now(c); got != first {
		t.Errorf("went from %d to %d", first, got)
	}
	s.passed = time.Second
	if got := s.now(c) - first; got != int64(time.Second) {
		t.Errorf("stood still: %d", got)
	}
	s.set = 2 * time.Hour
	if got := s.now(c) - first; got != int64(time.Second+2*time.Hour) {
		t.Errorf("does not follow: %d", got)
	}
	s.set = time.Hour
	if got := s.now(c) - first; got != int64(time.Second+2*time.Hour) {
		t.Errorf("went back: %d", got)
	}
}

func TestClockIsTheWallClock(t *testing.T) {
	c := New()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 1000 {
				before := time.Now().UnixNano()
				got := c.Now()
				if after := time.Now().UnixNano(); got < before-int64(time.Second) || got > after+int64(time.Second) {
					t.Errorf("%d is not between %d and %d", got, before, after)
				}
			}
		})
	}
	all.Wait()
}
