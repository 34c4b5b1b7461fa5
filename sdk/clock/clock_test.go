package clock

import (
	"testing"
	"time"
)

func TestClockNeverGoesBackAndFollowsForward(t *testing.T) {
	wall := time.Unix(1_700_000_000, 0)
	c := New(func() time.Time { return wall })
	first := c.Now()
	wall = wall.Add(-time.Hour)
	if got := c.Now(); got != first {
		t.Errorf("went from %d to %d", first, got)
	}
	wall = wall.Add(time.Second)
	if got := c.Now() - first; got != int64(time.Second) {
		t.Errorf("stood still: %d", got)
	}
	c = New(func() time.Time { return wall })
	wall = wall.Add(2 * time.Hour)
	if got := c.Now(); got != wall.UnixNano() {
		t.Errorf("does not follow: %d", got)
	}
}
