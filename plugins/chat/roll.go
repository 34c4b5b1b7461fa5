package main

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
)

// mostWas is how many people a terminal tells the next version of.
const mostWas = 1000

// passage is somebody who comes or goes, as JSON.
type passage struct {
	Event string `json:"event"`
	room.Who
}

// roll is who is in a room, by client, as far as a terminal has been told.
type roll map[string]room.Who

func rollOf(list []room.Who) roll {
	r := roll{}
	for _, w := range list {
		r[w.Client] = w
	}
	return r
}

// parseRoll reads what words have said.
func parseRoll(text string) (roll, error) {
	var list []room.Who
	err := json.Unmarshal([]byte(text), &list)
	return rollOf(list), err
}

// words tell the next version who is here, but for the crowd of a large room.
func (r roll) words() []string {
	if len(r) > mostWas {
		return nil
	}
	list := []room.Who{}
	for _, w := range r {
		list = append(list, room.Who{Client: w.Client, User: w.User})
	}
	b, _ := json.Marshal(list) // strings can be encoded
	return []string{"--was", string(b)}
}

// passes notes a passage, and is true if it is news.
func (r roll) passes(p passage) bool {
	_, here := r[p.Client]
	if p.Event == "left" {
		delete(r, p.Client)
		return here
	}
	r[p.Client] = p.Who
	return !here
}

// missed is who has come, and then who has left, since the roll was true.
func (r roll) missed(now []room.Who) (list []passage) {
	gone := maps.Clone(r)
	for _, w := range now {
		delete(gone, w.Client)
		list = append(list, passage{"joined", w})
	}
	for _, client := range slices.Sorted(maps.Keys(gone)) {
		list = append(list, passage{"left", gone[client]})
	}
	return list
}

// meet prints who came and left between two versions, if the one before has told who was there.
func (t *terminal) meet() {
	if t.roll == nil {
		t.roll = rollOf(t.found)
	}
	for _, p := range t.roll.missed(t.found) {
		t.passes(p)
	}
}

// passes prints who comes or goes, unless that was printed.
func (t *terminal) passes(p passage) {
	if t.roll.passes(p) {
		_ = t.tell(p, "[%s] %s %s", t.room, plain(p.User), p.Event)
	}
}
