package main

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Three letters were accepted, two before the last look and one after it.
func TestMailCountsOnceUnlessTheServiceWasHurt(t *testing.T) {
	for _, c := range []struct {
		name   string
		now    int64 // what the counter is
		gentle bool
		want   string // part of the error
	}{
		{name: "all are counted", now: 13, gentle: true},
		{name: "the last one is on its way", now: 12, gentle: true},
		{name: "one that was due is lost", now: 11, gentle: true, want: "mail or a timer is lost"},
		{name: "it was lost with its process", now: 11},
		{name: "all were lost with their process", now: 10},
		{name: "what was counted before is gone", now: 9, want: "lost"},
		{name: "one is counted twice", now: 14, gentle: true, want: "counted twice"},
		{name: "one is counted twice after a crash", now: 14, want: "counted twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := newClient("")
			cl.ledger[keys-1] = account{acked: 10, mail: 3, must: 2, fresh: 1}
			err := cl.look(keys-1, reply{n: c.now}, c.gentle)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestMailThatIsNotLostLater(t *testing.T) {
	cl := newClient("")
	cl.ledger[keys-1] = account{acked: 10, mail: 2, fresh: 2}
	for _, now := range []int64{11, 12} { // the second look finds what the first one did not
		if err := cl.look(keys-1, reply{n: now}, true); err != nil {
			t.Error(err)
		}
	}
	if a := cl.ledger[keys-1]; a.most() != 12 {
		t.Errorf("all mail is counted, but %+v may still grow", a)
	}
}

// A version is killed, but not the one that has the mail. The next look comes sooner than the timer.
func TestMailThatOutlivesACrashMayComeAfterTheNextLook(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration
		want  string
	}{
		{name: "it comes", after: mailTime - time.Second},
		{name: "it comes later than any does", after: mailTime, want: "counted twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl := newClient("")
				cl.ledger[keys-1] = account{acked: 10, mail: 1, fresh: 1}
				is := func(n int64, gentle bool) error { return cl.look(keys-1, reply{n: n}, gentle) }
				if err := errors.Join(is(10, false), is(10, true)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(c.after)
				_ = is(10, true)
				err := is(11, true)
				if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
					t.Errorf("%v, want %q", err, c.want)
				}
			})
		})
	}
}

// A write without an answer and a letter: one of them has counted. If it was the write, the letter may still come, and if it
// was the letter, nothing must.
func TestWhatCountedIsNotKnown(t *testing.T) {
	for _, next := range []int64{11, 12} {
		cl := newClient("")
		cl.ledger[keys-1] = account{acked: 10, overdue: 1, mail: 1, must: 1}
		for _, now := range []int64{11, next} {
			if err := cl.look(keys-1, reply{n: now}, true); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestANameBelongsToOneProcess(t *testing.T) {
	cl := newClient("")
	for _, holder := range []string{"<1.2>", "<1.2>", "<1.3>"} {
		_ = cl.look(4, reply{n: 0, holder: holder}, true)
	}
	if len(cl.wrong) != 1 || !strings.Contains(cl.wrong[0].Error(), "was process <1.2>") {
		t.Errorf("noted is %v, want that another process has the name", cl.wrong)
	}
}
