package upgrades

import (
	"encoding/json"
	"fmt"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/journal"
	"github.com/theseusd/theseus/upgrades/release"
)

// record is one entry of the journal: what people read in the history, and what recovery needs.
type record struct {
	control.Event
	Set        map[string]item            `json:"set,omitempty"`        // of a release that was built
	Tree       release.Tree               `json:"tree,omitempty"`       // likewise
	Plan       *control.Plan              `json:"plan,omitempty"`       // of an upgrade that was planned
	Changes    []change                   `json:"changes,omitempty"`    // likewise
	Before     map[string]control.Traffic `json:"before,omitempty"`     // by service: the minute before the switch
	Rehearsals map[string]sample          `json:"rehearsals,omitempty"` // by service
	Summary    *summary                   `json:"summary,omitempty"`    // of the records that were dropped
	Asked      bool                       `json:"asked,omitempty"`      // of an end: somebody wanted it or the daemon ended, it says nothing of the release
}

// item is one service of a release.
type item struct {
	Version string `json:"version"`
	Digest  string `json:"digest"`
	Seq     int64  `json:"seq,omitempty"` // when it was signed, as far as that was known when the release was built

	Settings release.Settings `json:"settings,omitempty"` // none in a journal from before there were any
}

// same tells whether two items are alike but for when they were signed.
func (it item) same(as item) bool {
	as.Seq = it.Seq
	return it == as
}

// sample is how long a rehearsal of so many rows took.
type sample struct {
	Rows    uint64  `json:"rows"`
	Seconds float64 `json:"seconds"`
}

// decode reads a journal.
func decode(records []journal.Record) ([]record, error) {
	list := make([]record, 0, len(records))
	for _, r := range records {
		var rec record
		if err := json.Unmarshal(r.Payload, &rec); err != nil {
			return nil, fmt.Errorf("upgrades: journal record %d: %w", r.Seq, err)
		}
		if rec.Seq = r.Seq; r.Base != (rec.Kind == Dropped) {
			return nil, fmt.Errorf("upgrades: journal record %d: %q where the journal begins", r.Seq, rec.Kind)
		}
		list = append(list, rec)
	}
	return list, nil
}
