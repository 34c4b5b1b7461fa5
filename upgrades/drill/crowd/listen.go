package crowd

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/centrifugal/protocol"
)

// listen notes what is wrong, up to the last words of the room.
func (m *client) listen() {
	defer close(m.ended)
	defer m.hangUp()
	for m.lasts < m.speakers {
		err := m.hear()
		if err != nil && m.crowd.cut.Load() {
			err = m.back()
		}
		if cause := context.Cause(m.crowd.ctx); cause != nil {
			err = cause
		}
		if err != nil {
			m.tally.Closed, m.tally.First = 1, fmt.Errorf("client %d: %w", m.number, err)
			m.crowd.gone.Add(1)
			return
		}
	}
}

func (m *client) hangUp() {
	m.forget()
	_ = m.conn.Close() // it has served
}

// hear takes the next answer or push.
func (m *client) hear() error {
	r, err := m.next()
	switch {
	case err != nil:
		return err
	case r.Id >= firstWord:
		return m.answered(r)
	case r.Push == nil:
		return fmt.Errorf("nobody has asked: %v", r)
	case r.Push.Unsubscribe != nil:
		return fmt.Errorf("out of the room with %v", r.Push.Unsubscribe)
	case r.Push.Pub != nil:
		m.note(r.Push.Pub)
	case m.crowd.cut.Load():
	case r.Push.Join != nil:
		m.crowd.joined.Add(1)
	case r.Push.Leave != nil:
		m.tally.Left++
	}
	return nil
}

// note looks at a message. One without an offset is a notice.
func (m *client) note(p *protocol.Publication) {
	if p.Offset == 0 {
		return
	}
	if p.Offset <= m.last {
		m.tally.Twice++
		return
	}
	m.gaps += int(p.Offset - m.last - 1)
	m.last = p.Offset
	if m.tally.Heard++; m.tally.Heard == 1 {
		m.crowd.hearing.Add(1)
	}
	var w word
	if json.Unmarshal(p.Data, &w) != nil || w.Crowd != m.crowd.name {
		return // somebody else's
	}
	m.crowd.window.Load().add(time.Since(time.Unix(0, w.Due)))
	if m.heard[w.By] == nil {
		m.heard[w.By] = new(numbers)
	}
	switch {
	case m.heard[w.By].hear(w.Number):
		m.tally.Twice++
	case w.Last:
		m.lasts++
	}
}

// total is what was seen. A message that is missing is so by its offset, by its number, or by both.
func (m *client) total() Tally {
	missing := 0
	for _, s := range m.heard {
		missing += len(s.missing)
	}
	m.tally.Lost = max(m.gaps, missing)
	return m.tally
}
