package crowd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/centrifugal/protocol"
)

// The shortest and the longest time between two attempts to come back, as the SDK has them.
const (
	shortPause = 500 * time.Millisecond
	longPause  = 20 * time.Second
)

// pauseBefore the nth attempt.
func pauseBefore(n int) time.Duration {
	return min(shortPause+rand.N(min(shortPause<<min(n, 6), longPause)), longPause)
}

// back connects again, once and again.
func (m *client) back() (err error) {
	m.falter()
	m.hangUp() // all at once have no descriptors for two connections each
	ctx, cancel := context.WithTimeout(m.crowd.ctx, patience)
	defer cancel()
	for n := 0; ; n++ {
		select {
		case <-time.After(pauseBefore(n)):
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		}
		if err = m.connect(ctx); err == nil {
			m.crowd.back.Add(1)
			return nil
		}
	}
}

// arrive begins with the position of the room, or hears what came since the client was there.
func (m *client) arrive(r *protocol.SubscribeResult) error {
	switch {
	case m.epoch == "":
		m.epoch, m.last = r.Epoch, r.Offset
		return nil
	case r.Epoch != m.epoch || r.Offset < m.last:
		return fmt.Errorf("%s is at %d of epoch %s, was at %d of %s", m.room, r.Offset, r.Epoch, m.last, m.epoch)
	}
	for _, p := range r.Publications {
		m.note(p)
	}
	if r.Recovered {
		m.tally.Recovered++
		m.catchUp(r.Offset)
		return nil
	}
	for m.last < r.Offset {
		if err := m.page(r.Offset); err != nil {
			return err
		}
	}
	m.tally.ByHistory++
	return nil
}

// catchUp counts as lost what has not come up to an offset.
func (m *client) catchUp(offset uint64) {
	if m.last < offset {
		m.gaps += int(offset - m.last)
		m.last = offset
	}
}

// page hears the next messages of the history up to an offset; what is beyond is said to the client as well. Those that the
// history does not have are lost.
func (m *client) page(to uint64) error {
	since := &protocol.StreamPosition{Offset: m.last, Epoch: m.epoch}
	r, err := m.ask(&protocol.Command{History: &protocol.HistoryRequest{Channel: m.room, Limit: 1000, Since: since}})
	if err != nil {
		return err
	}
	before := m.last
	for _, p := range r.History.Publications {
		if p.Offset <= to {
			m.note(p)
		}
	}
	if m.last == before {
		m.catchUp(to)
	}
	return nil
}
