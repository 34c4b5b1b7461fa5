package crowd

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/centrifugal/protocol"
)

// word is the data of a message.
type word struct {
	ID     string `json:"id"` // by which the chat says it once
	Crowd  string `json:"crowd"`
	By     int    `json:"by"`     // the speaker
	Number int    `json:"number"` // of its words, from 1
	Due    int64  `json:"due"`    // when it should be said, in nanoseconds
	Last   bool   `json:"last,omitempty"`
}

// firstWord is the number of the command that says the first word; questions have lower ones.
const firstWord = 1 << 16

// speech is what a client says.
type speech struct {
	ready   bool         // it is in its room
	closing bool         // the last word was said
	words   int          // so far
	open    map[int]word // that were not acknowledged
	again   []word       // of them, that were refused
}

// hush is how soon the last word follows.
const hush = 20 * time.Millisecond

// speak waits for its first turn, and then speaks until it has heard the last words.
func (m *client) speak(first time.Duration) {
	select {
	case <-time.After(first):
	case <-m.ended:
		return
	}
	tick := time.NewTicker(m.crowd.Every)
	defer tick.Stop()
	for ending := m.crowd.ending; ; {
		select {
		case due := <-tick.C:
			m.turn(due, ending == nil)
		case <-ending:
			ending = nil
			tick.Reset(min(m.crowd.Every, hush))
		case <-m.ended:
			return
		}
	}
}

// turn says once more what was refused, and then something new; the last word when all others are acknowledged.
func (m *client) turn(due time.Time, ending bool) {
	m.out.Lock()
	defer m.out.Unlock()
	again := m.again
	m.again = nil
	for _, w := range again {
		m.say(w)
	}
	if m.closing || ending && len(m.open) > 0 {
		return
	}
	m.closing = ending
	m.words++
	w := word{ID: fmt.Sprintf("%s.%d.%d", m.crowd.name, m.number, m.words), Crowd: m.crowd.name, By: m.number, Number: m.words, Due: due.UnixNano(), Last: ending}
	m.open[w.Number] = w
	m.crowd.window.Load().said.Add(1)
	m.say(w)
}

// say gives a word away, if the client is in its room. Whoever listens is told of a connection that is cut.
func (m *client) say(w word) {
	if !m.ready {
		return
	}
	data, _ := json.Marshal(w) // its fields are plain
	_ = m.write(&protocol.Command{
		Id:      firstWord + uint32(w.Number),
		Publish: &protocol.PublishRequest{Channel: m.room, Data: data},
	})
}

// answered notes that a word was acknowledged, or is to be said again.
func (m *client) answered(r *protocol.Reply) error {
	m.out.Lock()
	defer m.out.Unlock()
	number := int(r.Id - firstWord)
	w, ok := m.open[number]
	switch {
	case !ok:
		return fmt.Errorf("an answer to what was not said: %v", r)
	case r.Error == nil:
		delete(m.open, number)
	case r.Error.Temporary:
		m.again = append(m.again, w)
	default:
		return refused{r.Error}
	}
	return nil
}

// falter ends speaking until the client is in its room again.
func (m *client) falter() {
	m.out.Lock()
	defer m.out.Unlock()
	m.ready = false
}

// resume says again what was not acknowledged.
func (m *client) resume() {
	m.out.Lock()
	defer m.out.Unlock()
	m.ready, m.again = true, nil
	for _, number := range slices.Sorted(maps.Keys(m.open)) {
		m.say(m.open[number])
	}
}
