package main

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/theseusd/theseus/plugins/breaker/internal/circuit"
	"github.com/theseusd/theseus/sdk/state"
)

// maxStory is how many changes are kept.
const maxStory = 1000

// line is one change of one circuit. Numbers go on over restarts and upgrades.
type line struct {
	Number uint64    `json:"number"`
	At     time.Time `json:"at"`
	Name   string    `json:"name"`
	circuit.Change
}

func (l line) String() string {
	return fmt.Sprintf("%s %s: %s -> %s (%s: %s)", l.At.Format(time.RFC3339), l.Name, l.From, l.To, l.Event, l.Reason)
}

// story is the last changes of all circuits, and those who wait for the next one.
type story struct {
	rows *state.Table[line] // by number modulo maxStory

	mu   sync.Mutex
	last uint64
	more chan struct{} // closed when there is another one
}

func newStory(r state.Registrar) *story {
	return &story{rows: state.NewTable(r, "events", state.Schema[line]{Name: "event", Version: 1}), more: make(chan struct{})}
}

// ready finds where the story has come to.
func (s *story) ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows.Range(func(_ string, l line) bool {
		s.last = max(s.last, l.Number)
		return true
	})
}

func rowOf(number uint64) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(number%maxStory)))
}

// commit commits writes and with them the changes of one circuit.
func (s *story) commit(writes *state.Batch, name string, changes []circuit.Change) error {
	if len(changes) == 0 {
		return writes.Commit()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.last
	for _, c := range changes {
		last++
		if err := s.rows.PutIn(writes, rowOf(last), line{last, time.Now().UTC(), name, c}, time.Time{}); err != nil {
			return err
		}
	}
	if err := writes.Commit(); err != nil {
		return err
	}
	s.last = last
	close(s.more)
	s.more = make(chan struct{})
	return nil
}

// after lists the changes behind that number that are still kept. It gives the number to go on behind, and the channel
// that is closed with the next change. A number that lies ahead, since the last changes were lost, is taken for the end.
func (s *story) after(number uint64) (lines []line, reached uint64, more <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last > maxStory {
		number = max(number, s.last-maxStory)
	}
	for n := number + 1; n <= s.last; n++ {
		l, ok, err := s.rows.Lookup(rowOf(n))
		if err != nil {
			return nil, number, nil, err
		}
		if ok && l.Number == n {
			lines = append(lines, l)
		}
	}
	return lines, s.last, s.more, nil
}

// end is the number of the last change.
func (s *story) end() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}
