package room

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/state"
)

func openLog(t *testing.T) *Log {
	t.Helper()
	s, err := state.Open(t.TempDir(), state.Options{})
	must(t, err)
	l := NewLog(s)
	_, err = s.Load(t.Context())
	must(t, err)
	_, err = s.Activate(t.Context(), nil)
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOldMessagesAreDeletedAndTheLastIsFound(t *testing.T) {
	l := openLog(t)
	l.keep = 100
	must(t, l.Create("general"))
	r, err := l.Find("general")
	must(t, err)
	for n := 1; n <= 1000; n++ {
		must(t, l.Append("general", &r, Message{Data: Say(fmt.Sprint(n))}))
		if got, err := l.Find("general"); err != nil || got.Last != uint64(n) {
			t.Fatalf("after %d messages the last one is %d (%v)", n, got.Last, err)
		}
		if kept := l.messages.Len(); kept > 100+2*step || n >= 100 && kept < 100 {
			t.Fatalf("after %d messages there are %d", n, kept)
		}
	}
	list, err := l.Since("general", r, 990, 0)
	must(t, err)
	if len(list) != 10 || list[0].Offset != 991 || list[9].Text() != "1000" {
		t.Errorf("since 990: %v", list)
	}
	if list, _ = l.Since("general", r, 0, 3); len(list) != 3 || list[0].Offset != 998 {
		t.Errorf("the last three: %v", list)
	}
	must(t, l.Hide("general"))
	must(t, l.Sweep("general"))
	if l.messages.Len() != 0 || l.Has("general") {
		t.Error("something is left of a room that was removed")
	}
}

// One client could fill the memory with long messages, faster than anybody could look.
func TestAHistoryIsBoundedInBytes(t *testing.T) {
	l := openLog(t)
	l.keep, l.bytes = 1000, 50_000
	must(t, l.Create("general"))
	r, err := l.Open("general")
	must(t, err)
	for n := range 500 {
		must(t, l.Append("general", &r, Message{Data: Say(strings.Repeat("x", 10*n%1000))}))
		if n%7 > 0 {
			continue
		}
		again, err := l.Open("general")
		must(t, err)
		list, err := l.Range("general", r.First, r.Last, Limit{})
		must(t, err)
		sum := 0
		for _, e := range list {
			sum += e.size()
		}
		if r.Bytes != sum || again.Bytes != sum || sum > l.bytes+step*1100 || len(list) != int(r.Last-r.First+1) {
			t.Fatalf("after %d messages: %d are kept, of %d bytes; counted %d, and %d when it is opened again", n+1, len(list), sum, r.Bytes, again.Bytes)
		}
	}
	if r.First == 1 {
		t.Error("nothing was deleted")
	}
}

// What an edit adds is counted as well.
func TestEditsDoNotLetAHistoryGrow(t *testing.T) {
	r, _ := start(t, "")
	r.bytes = 100_000
	_, err := r.Create(t.Context(), "general")
	must(t, err)
	long := Say(strings.Repeat("x", 10_000))
	for range 200 {
		p, err := say(t.Context(), r, "short")
		must(t, err)
		_, err = r.Alter(t.Context(), "general", Alter{Offset: p.Offset, User: "ada", Data: long})
		must(t, err)
	}
	row, err := r.Find("general")
	must(t, err)
	list, err := r.Range("general", row.First, row.Last, Limit{})
	must(t, err)
	if n := len(list); n > 10*2+step || n == 0 {
		t.Errorf("%d messages are kept", n)
	}
}

func TestWordsAreRememberedForAWhileAndNotForEver(t *testing.T) {
	at := time.Unix(1e9, 0)
	s := newSeen(Window, 3)
	for n := range 4 {
		s.add(fmt.Sprint(n), at.Add(time.Duration(n)*time.Minute), uint64(n+1))
	}
	find := func(word string, after time.Duration) bool {
		_, _, ok := s.find(word, at.Add(after))
		return ok
	}
	if find("0", 3*time.Minute) {
		t.Error("more words than the limit are remembered")
	}
	if !find("1", 6*time.Minute-1) || find("1", 6*time.Minute) {
		t.Error("a word is not remembered for five minutes")
	}
	s.add("2", at.Add(6*time.Minute), 9)
	if offset, _, ok := s.find("2", at.Add(8*time.Minute)); !ok || offset != 9 {
		t.Error("a word that was used again is forgotten with its first use")
	}
	if find("3", time.Hour) || len(s.last) != 0 || s.order != nil {
		t.Error("something is left after an hour")
	}
}
