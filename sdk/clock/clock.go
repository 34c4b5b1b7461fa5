// Package clock has a wall clock that never goes back, for services whose rows say until when something holds, and durations
// that people write.
package clock

import (
	"sync/atomic"
	"time"
)

// Clock is a wall clock that never goes back. When the wall clock is set back it goes on at its own pace; when that is
// set forward it follows. The next process begins with the wall clock as it is: who reads a row there must not believe
// in a time that lies too far ahead.
type Clock struct {
	began time.Time // with its monotonic reading
	first int64
	ahead atomic.Int64 // the most that the wall clock has gained on the monotonic one since then
}

// New returns a clock that shows the time as it is.
func New() *Clock {
	began := time.Now()
	return &Clock{began: began, first: began.UnixNano()}
}

// Now is the time in nanoseconds since 1970.
func (c *Clock) Now() int64 {
	now := time.Now()
	return c.at(int64(now.Sub(c.began)), now.UnixNano())
}

// at is the time after so much has passed, when the wall clock shows wall.
func (c *Clock) at(passed, wall int64) int64 {
	gained := wall - c.first - passed
	for ahead := c.ahead.Load(); ; ahead = c.ahead.Load() {
		if gained <= ahead {
			return c.first + passed + ahead
		}
		if c.ahead.CompareAndSwap(ahead, gained) {
			return c.first + passed + gained
		}
	}
}
