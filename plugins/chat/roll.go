package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
)

// A terminal is in no room between two versions of the chat, while clients stay where they are. It has not left if it is back
// within that time; when twice the time has passed, others are told who is not.
const away = 5 * time.Second

// mostWas is how many people a terminal tells the next version of.
const mostWas = 1000

// homecoming is since when terminals come back to this version.
type homecoming struct {
	mu    sync.Mutex
	since time.Time
}

// begin is when the first one came.
func (h *homecoming) begin() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.since.IsZero() {
		h.since = time.Now()
	}
	return h.since
}

// end is said by those who leave for another version.
func (h *homecoming) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.since = time.Time{}
}

// passage is somebody who comes or goes, as JSON.
type passage struct {
	Event string `json:"event"`
	room.Who
}

// roll is who is in the room, as far as a terminal has been told.
type roll struct {
	here map[string]room.Who // by client
	gone map[string]bool     // who was missed, and is said to have left
}

func newRoll(list []room.Who) *roll {
	r := &roll{here: map[string]room.Who{}, gone: map[string]bool{}}
	for _, w := range list {
		r.here[w.Client] = w
	}
	return r
}

// passes is true if somebody who comes or goes is to be told of, and not known to be here, or to have left.
func (r *roll) passes(p passage) bool {
	_, here := r.here[p.Client]
	gone := r.gone[p.Client]
	if p.Event == "left" {
		delete(r.here, p.Client)
		return !gone
	}
	r.here[p.Client] = p.Who
	delete(r.gone, p.Client)
	return !here
}

// compare is who has left, as they are not among those who are here now, and who has come. It may have patience with terminals.
func (r *roll) compare(now []room.Who, patient bool) (list []passage) {
	missed := maps.Clone(r.here)
	for _, w := range now {
		delete(missed, w.Client)
		if p := (passage{"joined", w}); r.passes(p) {
			list = append(list, p)
		}
	}
	for _, client := range slices.Sorted(maps.Keys(missed)) {
		if patient && strings.HasPrefix(client, terminalPrefix) {
			continue
		}
		list = append(list, passage{"left", missed[client]})
		r.gone[client] = true
		delete(r.here, client)
	}
	return list
}

// words tell the next version who is here, but for the crowd of a large room.
func (r *roll) words() []string {
	if len(r.here) > mostWas {
		return nil
	}
	list := []room.Who{}
	for _, w := range r.here {
		list = append(list, room.Who{Client: w.Client, User: w.User})
	}
	b, _ := json.Marshal(list) // strings can be encoded
	return []string{"--was", string(b)}
}

// meet prints who came and left between two versions. Other terminals may come back still: when the channel says something it is known
// who does not.
func (t *terminal) meet() (settled <-chan time.Time) {
	if t.was == nil {
		t.roll = newRoll(t.found)
		return nil
	}
	t.roll = newRoll(t.was)
	t.pass(t.roll.compare(t.found, true)...)
	return time.After(time.Until(t.since.Add(2 * away)))
}

// passes prints who comes or goes, unless it was printed.
func (t *terminal) passes(p passage) {
	if t.roll.passes(p) {
		t.pass(p)
	}
}

// pass prints who came or left.
func (t *terminal) pass(list ...passage) {
	for _, p := range list {
		_ = t.tell(p, "[%s] %s %s", t.room, plain(p.User), p.Event)
	}
}
