package otp

import (
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
)

func TestTableIsOneForAllWhoUseIt(t *testing.T) {
	tab := NewTable[int, int64](0)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 4000 {
				tab.Update(i%100, func(n *int64) { *n++ })
			}
		})
	}
	wg.Wait()
	if tab.Len() != 100 {
		t.Errorf("%d rows, want 100", tab.Len())
	}
	for k, n := range tab.All() {
		if n != 8*40 {
			t.Errorf("row %d is %d, want %d", k, n, 8*40)
		}
	}
}

func TestTableAddPutDelete(t *testing.T) {
	tab := NewTable[string, int](10)
	if !tab.Add("a", 1) || tab.Add("a", 2) {
		t.Error("Add must write exactly where there is nothing")
	}
	tab.Put("a", 3)
	tab.Put("b", 4)
	if row, ok := tab.Get("a"); !ok || row != 3 {
		t.Errorf("a is %d, %v", row, ok)
	}
	if row, ok := tab.Delete("a"); !ok || row != 3 {
		t.Errorf("taken: %d, %v", row, ok)
	}
	if _, ok := tab.Delete("a"); ok {
		t.Error("taken twice")
	}
	for k := range tab.All() { // the body may write
		tab.Delete(k)
	}
	if rest := maps.Collect(tab.All()); len(rest) != 0 {
		t.Errorf("left: %v", rest)
	}
}

// What a table says is what a map says, however keys come, go and lie beside each other.
func TestTableIsAMap(t *testing.T) {
	tab, want := NewTable[uint64, uint64](0), map[uint64]uint64{}
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := range uint64(300_000) {
		key := rnd.Uint64N(1 + n/10) // grows, and is found more and more seldom
		switch rnd.IntN(4) {
		case 0:
			tab.Put(key, n)
			want[key] = n
		case 1:
			if got := tab.Update(key, func(row *uint64) { *row += n }); got != want[key]+n {
				t.Fatalf("%d is %d, want %d", key, got, want[key]+n)
			}
			want[key] += n
		case 2:
			was, there := want[key]
			if row, ok := tab.Delete(key); row != was || ok != there {
				t.Fatalf("%d was %d %v, want %d %v", key, row, ok, was, there)
			}
			delete(want, key)
		default:
			was, there := want[key]
			if row, ok := tab.Get(key); row != was || ok != there {
				t.Fatalf("%d is %d %v, want %d %v", key, row, ok, was, there)
			}
		}
	}
	if got := maps.Collect(tab.All()); tab.Len() != len(want) || !maps.Equal(got, want) {
		t.Errorf("%d rows, want %d", tab.Len(), len(want))
	}
	tab.Clear()
	if _, ok := tab.Get(1); ok || tab.Len() != 0 || !tab.Add(1, 1) {
		t.Error("it is not empty")
	}
}

// The heir gets the rows of an owner that ends, and without one they are gone, as in ets_SUITE's heir and give_away.
func TestTableGoesToTheHeir(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{})
		defer n.Close()
		var got []Transferred
		kind := &Behaviour[int]{Name: "owner"}
		OnInfo(kind, func(_ *Ctx, _ *int, m any) error {
			if tr, ok := m.(Transferred); ok {
				got = append(got, tr)
			}
			return nil
		})
		start := func() PID {
			pid, err := Start(n, kind, nil)
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
		end := func(pid PID) {
			if err := Halt(n, pid, nil); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		first, second := start(), start()
		tab := NewTable[string, int](0)
		tab.Put("a", 1)
		if err := tab.Own(n, first, second); err != nil {
			t.Fatal(err)
		}
		end(first)
		if tab.Owner() != second || tab.Len() != 1 || len(got) != 1 || got[0].From != first || got[0].Table != any(tab) {
			t.Fatalf("owner %v, %d rows, told %+v", tab.Owner(), tab.Len(), got)
		}
		third := start()
		if err := tab.Own(n, third, 0); err != nil { // given away
			t.Fatal(err)
		}
		end(second)
		if tab.Owner() != third || tab.Len() != 1 {
			t.Fatalf("the end of one who gave it away: owner %v, %d rows", tab.Owner(), tab.Len())
		}
		end(third)
		if tab.Owner() != 0 || tab.Len() != 0 {
			t.Errorf("nobody's: owner %v, %d rows", tab.Owner(), tab.Len())
		}
		if err := tab.Own(n, third, 0); err == nil {
			t.Error("a process that has ended owns a table")
		}
	})
}

// A change that panics leaves the row as it was, and the table usable.
func TestUpdateThatPanics(t *testing.T) {
	rows := NewTable[string, int](0)
	rows.Put("a", 1)
	func() {
		defer func() { _ = recover() }()
		rows.Update("a", func(n *int) { *n = 2; panic("ouch") })
	}()
	if n, _ := rows.Get("a"); n != 1 {
		t.Errorf("it is %d, want 1", n)
	}
	if n := rows.Update("b", func(n *int) { *n++ }); n != 1 {
		t.Errorf("a new row begins with %d, want 1", n)
	}
}
