// Package clock has a wall clock that never goes back, for services whose rows say until when something holds.
package clock

import (
	"sync"
	"time"
)

// Clock is a wall clock that never goes back. When the wall clock is set back it goes on at its own pace; when that is
// set forward it follows. The next process begins with the wall clock as it is: who reads a row there must not believe
// in a time that lies too far ahead.
type Clock struct {
	mu   sync.Mutex
	last time.Time // with its monotonic reading
	at   int64
	wall func() time.Time
}

// New returns a clock over wall; time.Now if nil.
func New(wall func() time.Time) *Clock {
	if wall == nil {
		wall = time.Now
	}
	now := wall()
	return &Clock{last: now, at: now.UnixNano(), wall: wall}
}

// Now is the time in nanoseconds since 1970.
func (c *Clock) Now() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.wall()
	passed := max(int64(now.Sub(c.last)), 0)
	c.last, c.at = now, max(now.UnixNano(), c.at+passed)
	return c.at
}
