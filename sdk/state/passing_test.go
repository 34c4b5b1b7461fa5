package state

import (
	"fmt"
	"sort"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Rows of a passing table end with the right to write; those beside them stay.
func TestPassingRowsEndWithTheirWriter(t *testing.T) {
	dir := t.TempDir()
	newStore := func() (*Store, *Table[[]byte], *Table[[]byte]) {
		s, kv := openBytes(t, dir, Options{})
		return s, kv, NewTable(s, "passing", Schema[[]byte]{Name: "blob"}, Passing)
	}
	one, kept, passing := newStore()
	two, keptToo, passingToo := newStore()
	activate(t, one)
	must(two.Load(t.Context()))
	for i := range 100 {
		must(0, kept.Put(fmt.Sprint(i), nil))
		must(0, passing.Put(fmt.Sprint(i), nil))
	}
	if n := passing.Len(); n != 100 {
		t.Errorf("%d rows are there while their writer is, want 100", n)
	}
	must(two.Activate(t.Context(), nil))
	if keptToo.Len() != 100 || passingToo.Len() != 0 {
		t.Errorf("the next writer has %d and %d rows, want 100 and 0", keptToo.Len(), passingToo.Len())
	}
	must(0, passingToo.Put("new", nil))
	must(one.Activate(t.Context(), nil))
	if kept.Len() != 100 || passing.Len() != 0 {
		t.Errorf("back again there are %d and %d rows, want 100 and 0", kept.Len(), passing.Len())
	}
	must(0, passing.Put("x", nil))
	must(0, one.Release())
	if n := passing.Len(); n != 0 {
		t.Errorf("%d rows are left after a release", n)
	}
}

func TestTheEndOfARowIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []string
		s := open(t, t.TempDir(), Options{})
		kv := NewTable(s, "kv", Schema[[]byte]{Name: "blob"}, Ended(func(key []byte) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, string(key))
		}))
		activate(t, s)
		keep(t, s)
		must(0, kv.PutTTL("a", []byte("x"), time.Minute))
		must(0, kv.PutTTL("b", nil, time.Minute))
		must(0, kv.PutTTL("moved", nil, time.Minute))
		must(0, kv.PutTTL("moved", nil, time.Hour))
		must(0, kv.PutTTL("gone", nil, time.Minute))
		must(kv.Delete("gone"))
		v, until, ok, err := kv.LookupUntil("a")
		if string(v) != "x" || !ok || err != nil || until != time.Now().Add(time.Minute).UnixMilli() {
			t.Errorf("a: %q until %d, %v, %v", v, until, ok, err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		sort.Strings(told)
		if got := strings.Join(told, " "); got != "a b" {
			t.Errorf("told of %q, want a and b", got)
		}
	})
}
