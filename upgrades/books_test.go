package upgrades

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
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

// A clock that was set back while no daemon ran makes no step shorter than nothing, and no probation longer.
func TestClockSetBackOverACrash(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		w.script = on("journal permanent", crash)
		d.do(func(*Engine) { _ = go2(d) })
		d.end()
		w.script = nil
		for i := range w.records {
			var rec record
			must(t, json.Unmarshal(w.records[i].Payload, &rec))
			rec.Time = rec.Time.Add(time.Hour)
			payload, err := json.Marshal(rec)
			must(t, err)
			w.records[i].Payload = payload
		}
		began := time.Now()
		d = rest(w)
		defer d.end()
		if took := time.Since(began); took > time.Minute {
			t.Errorf("the probation took %s", took)
		}
		for _, ev := range d.e.Since(0) {
			if ev.Took < 0 {
				t.Errorf("%s took %v s", ev.Kind, ev.Took)
			}
		}
		wantServing(t, w, d, "2.0.0", "permanent")
	})
}
