package upgrades

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/theseusd/theseus/sdk/control"
)

// What a process says of itself can be of any length; the journal takes a megabyte.
func TestLongTextsOfARecordAreCut(t *testing.T) {
	rec := record{Event: control.Event{Reason: strings.Repeat("é", maxText), By: strings.Repeat("x", maxText), Text: "short"}}
	rec.bound()
	if !strings.HasSuffix(rec.Reason, "... (8,192 bytes more)") || !utf8.ValidString(rec.Reason) {
		t.Errorf("it ends with %q", rec.Reason[len(rec.Reason)-40:])
	}
	if len(rec.By) != maxText || rec.Text != "short" {
		t.Error("texts that fit have changed")
	}
}

func TestSinceLeavesOutWhatTheJournalRefused(t *testing.T) {
	r := newRegistry()
	for _, seq := range []uint64{1, 2, 3, 0, 0} {
		r.history = append(r.history, control.Event{Seq: seq})
	}
	numbers := func(after uint64) (list []uint64) {
		for _, ev := range r.since(after) {
			list = append(list, ev.Seq)
		}
		return list
	}
	if got := numbers(1); len(got) != 2 || got[0] != 2 {
		t.Errorf("got %v", got)
	}
	r.paid(4)
	if got := numbers(2); len(got) != 2 || got[1] != 4 {
		t.Errorf("got %v", got)
	}
	if got := numbers(4); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}
