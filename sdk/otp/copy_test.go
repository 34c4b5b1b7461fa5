package otp

import (
	"strings"
	"testing"
	"time"
)

// What Keep says is done is in the log.
func TestProgressOfKeepIsWhatWasWritten(t *testing.T) {
	v := newVoyage(t)
	const all = 5*copiedAtOnce + 1
	for range all {
		v.start()
	}
	rows := v.v1.n.ledger.wards[0].rows
	var last uint64
	told := 0
	is(t, v.v1.Keep(t.Context(), func(done, total uint64) {
		if uint64(rows.count()) < done || done < last || total != all {
			t.Errorf("%d of %d, and %d rows", done, total, rows.count())
		}
		last, told = done, told+1
	}), nil)
	if last != all || told != 6 {
		t.Errorf("in the end %d are done, told %d times", last, told)
	}
}

// One error is enough, also if no process can be written.
func TestKeepFailsWithOneError(t *testing.T) {
	v := newVoyage(t)
	for range 2*copiedAtOnce + 5 {
		v.v1.n.procs.get(v.start()).after(time.Hour, strange{})
	}
	err := v.v1.Keep(t.Context(), func(uint64, uint64) {})
	if err == nil || strings.Count(err.Error(), "otp.strange") != 1 {
		t.Errorf("%.300v", err)
	}
}
