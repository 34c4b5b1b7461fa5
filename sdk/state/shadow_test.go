package state

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// open1, open2 and open3 are three versions of one program.
func open1(tb testing.TB, dir string) (*Store, *Table[visitV1]) {
	s := open(tb, dir, Options{SegmentSize: MinSegmentSize})
	return s, NewTable(s, "visits", schemaV1)
}

func open2(tb testing.TB, dir string) (*Store, *Table[visitV2]) {
	s := open(tb, dir, Options{SegmentSize: MinSegmentSize})
	return s, NewTable(s, "visits", schemaV2)
}

func open3(tb testing.TB, dir string) (*Store, *Table[visitV3]) {
	s := open(tb, dir, Options{SegmentSize: MinSegmentSize})
	return s, NewTable(s, "visits", schemaV3)
}

func version(n int32) map[string]int32 { return map[string]int32{"visits": n} }

func TestUpgradeAndRollbackInProbationLoseNothing(t *testing.T) {
	dir := t.TempDir()
	old, before := open1(t, dir)
	activate(t, old)
	for i := range 500 {
		must(0, before.Put(fmt.Sprint(i), visitV1{User: fmt.Sprint("u", i), Count: 1}))
	}
	neu, after := open3(t, dir)
	must(neu.Load(t.Context()))
	must(0, old.Release())
	must(neu.Activate(t.Context(), version(1)))
	seen := time.Unix(1e9, 7).UTC()
	for i := range 200 {
		_, err := after.Update(fmt.Sprint(i), func(v visitV3, ok bool) (visitV3, error) {
			return visitV3{First: "u", Last: fmt.Sprint(i), Count: v.Count + 1, Seen: seen}, nil
		})
		must(0, err)
	}
	must(0, after.Put("new", visitV3{First: "a", Last: "b", Count: 1}))
	must(after.Delete("499"))
	must(after.Expire("498", time.Now().Add(time.Hour)))
	must(0, neu.Release())
	must(old.Activate(t.Context(), version(3)))
	for i := range 498 {
		want := visitV1{User: fmt.Sprint("u", i), Count: 1}
		if i < 200 {
			want.Count = 2
		}
		if v, ok := before.Get(fmt.Sprint(i)); !ok || v != want {
			t.Fatalf("row %d is %+v, want %+v", i, v, want)
		}
	}
	if v, ok := before.Get("new"); !ok || v.User != "ab" || before.Len() != 500 {
		t.Errorf("%+v, %d rows", v, before.Len())
	}
	if at, _ := before.Expiry("498"); at.IsZero() {
		t.Error("an expiry did not come back")
	}
	must(before.Update("3", func(v visitV1, _ bool) (visitV1, error) { v.Count = 9; return v, nil }))
	must(0, before.Put("4", visitV1{User: "u4", Count: 10}))
	must(neu.Activate(t.Context(), nil))
	for k, n := range map[string]int64{"3": 9, "4": 10, "5": 2} {
		if v, ok := after.Get(k); !ok || v != (visitV3{First: "u", Last: k, Count: n, Seen: seen}) {
			t.Errorf("row %s came back as %+v", k, v)
		}
	}
}

func TestAnOlderProgramNeedsShadows(t *testing.T) {
	dir := t.TempDir()
	s, visits := open3(t, dir)
	activate(t, s)
	for i := range 300 {
		must(0, visits.Put(fmt.Sprint(i), visitV3{First: "f", Last: fmt.Sprint(i)}))
	}
	old, rows := open1(t, dir)
	_, err := old.Load(t.Context())
	var newer *NewerError
	if !errors.As(err, &newer) || newer.Version != 3 || newer.Known != 1 || !errors.Is(err, ErrNewer) {
		t.Fatalf("got %v", err)
	}
	var done, total uint64
	must(0, s.Shadow(t.Context(), version(1), true, func(d, n uint64) { done, total = d, n }))
	if done != 300 || total != 300 {
		t.Errorf("progress ended at %d of %d", done, total)
	}
	if n, err := old.Load(t.Context()); n != 300 || err != nil {
		t.Fatalf("%d rows, %v", n, err)
	}
	must(0, visits.Put("0", visitV3{First: "g"}))
	must(old.Activate(t.Context(), nil))
	if v, _ := rows.Get("0"); v.User != "g" {
		t.Errorf("got %+v", v)
	}
	if v, _ := rows.Get("7"); v.User != "f7" {
		t.Errorf("got %+v", v)
	}
}

func TestAnOlderProgramThatLacksAShadowStaysOut(t *testing.T) {
	dir := t.TempDir()
	old, rows := open1(t, dir)
	activate(t, old)
	must(0, rows.Put("a", visitV1{}))
	neu, visits := open2(t, dir)
	must(neu.Load(t.Context()))
	must(neu.Activate(t.Context(), version(1)))
	must(0, visits.Put("a", visitV2{Count: 2}))
	must(0, neu.Settle(t.Context()))
	must(0, visits.Put("a", visitV2{Count: 3}))
	must(0, old.catchUp(t.Context()))
	if _, _, err := rows.Lookup("a"); !errors.Is(err, ErrNewer) {
		t.Errorf("lookup: %v", err)
	}
	if _, err := old.Activate(t.Context(), nil); !errors.Is(err, ErrNewer) || !neu.Writer() {
		t.Errorf("activate: %v; the newer one writes: %v", err, neu.Writer())
	}
}

func TestARowThatCannotGoDownIsRefused(t *testing.T) {
	s, visits := open3(t, t.TempDir())
	must(s.Load(t.Context()))
	must(s.Activate(t.Context(), version(2)))
	var row *RowError
	if err := visits.Put("a", visitV3{First: strings.Repeat("x", 300)}); !errors.As(err, &row) || row.Key != "a" {
		t.Errorf("got %v", err)
	}
	if visits.Len() != 0 {
		t.Error("the row is there")
	}
	if got := s.Stats().Shadows; !reflect.DeepEqual(got, version(2)) {
		t.Errorf("shadows are %v", got)
	}
}

func TestShadowsNeedAStepDown(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	NewTable(s, "visits", Schema[visitV3]{Version: 3, Steps: []AnyStep{split}})
	must(s.Load(t.Context()))
	if _, err := s.Activate(t.Context(), version(1)); err == nil || s.Writer() {
		t.Errorf("got %v", err)
	}
}

func TestSettleRewritesAndCompacts(t *testing.T) {
	dir := memDir(t)
	old, before := open1(t, dir)
	activate(t, old)
	for i := range 300 {
		must(0, before.Put(fmt.Sprint(i), visitV1{Count: int64(i)}))
	}
	must(0, old.Close())
	s, visits := open3(t, dir)
	must(s.Load(t.Context()))
	must(s.Activate(t.Context(), version(1)))
	must(0, s.Settle(t.Context()))
	must(0, s.tend(t.Context()))
	must(0, visits.rows.each(t.Context(), func(it item) error {
		if it.rec.version() != 3 {
			return fmt.Errorf("row %s has version %d", it.rec.key(), it.rec.version())
		}
		return nil
	}))
	if v, _ := visits.Get("7"); v.Count != 7 || visits.Len() != 300 {
		t.Errorf("%+v, %d rows", v, visits.Len())
	}
}

func TestNothingIsLeftOfAVersionThatWasRolledBack(t *testing.T) {
	type draft struct {
		User string
		Hits int64
	}
	dir := memDir(t)
	old, before := open1(t, dir)
	activate(t, old)
	must(0, before.Put("a", visitV1{User: "ann", Count: 1}))
	bad := open(t, dir, Options{SegmentSize: MinSegmentSize})
	drafts := NewTable(bad, "visits", Schema[draft]{Version: 2, Steps: []AnyStep{Step[visitV1, draft]{
		From: 1,
		Up:   func(_ string, o visitV1, _ []byte) (draft, error) { return draft{o.User, o.Count}, nil },
		Down: func(_ string, d draft) (visitV1, []byte, error) { return visitV1{d.User, d.Hits}, nil, nil },
	}}})
	must(bad.Load(t.Context()))
	must(0, old.Release())
	must(bad.Activate(t.Context(), version(1)))
	must(0, drafts.Put("a", draft{"ann", 2}))
	must(0, bad.Release())
	must(old.Activate(t.Context(), nil))
	must(0, old.Settle(t.Context()))
	must(0, old.tend(t.Context()))
	good, after := open2(t, dir)
	must(good.Load(t.Context()))
	if v, ok := after.Get("a"); !ok || v.User != "ann" || v.Count != 2 {
		t.Errorf("another version 2 reads %+v", v)
	}
}

func TestRehearsal(t *testing.T) {
	dir := t.TempDir()
	old, before := open1(t, dir)
	activate(t, old)
	for i := range 300 {
		must(0, before.Put(fmt.Sprint(i), visitV1{User: "u", Count: int64(i)}))
	}
	same, _ := open1(t, dir)
	must(same.Load(t.Context()))
	was, err := same.Rehearse(t.Context(), nil)
	if err != nil || was.Rows != 300 || was.Changed != 0 {
		t.Fatalf("%+v, %v", was, err)
	}
	good, _ := open3(t, dir)
	must(good.Load(t.Context()))
	if r, err := good.Rehearse(t.Context(), nil); err != nil || r.Rows != 300 || r.Changed != 300 || r.Digest != was.Digest {
		t.Errorf("%+v, %v", r, err)
	}
	for _, c := range []struct {
		name string
		step Step[visitV1, visitV2]
		want string
	}{
		{"a step that fails", Step[visitV1, visitV2]{Up: func(k string, o visitV1, _ []byte) (visitV2, error) {
			if k == "7" {
				return visitV2{}, errors.New("odd row")
			}
			return visitV2{User: o.User, Count: o.Count}, nil
		}}, "odd row"},
		{"a step that panics", Step[visitV1, visitV2]{Up: func(k string, o visitV1, _ []byte) (visitV2, error) {
			panic("row " + k)
		}}, "panic"},
		{"a step that loses", Step[visitV1, visitV2]{Up: func(k string, o visitV1, _ []byte) (visitV2, error) {
			return visitV2{Count: o.Count}, nil
		}}, "no loss is declared"},
		{"a declared loss", Step[visitV1, visitV2]{Lossy: true, Up: func(k string, o visitV1, _ []byte) (visitV2, error) {
			return visitV2{Count: o.Count}, nil
		}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.step.From = 1
			c.step.Down = func(_ string, v visitV2) (visitV1, []byte, error) { return visitV1{v.User, v.Count}, nil, nil }
			s := open(t, dir, Options{})
			NewTable(s, "visits", Schema[visitV2]{Version: 2, Steps: []AnyStep{c.step}})
			must(s.Load(t.Context()))
			r, err := s.Rehearse(t.Context(), nil)
			if c.want == "" {
				if err != nil || r.Lossy != 300 {
					t.Errorf("%+v, %v", r, err)
				}
				return
			}
			var row *RowError
			if !errors.As(err, &row) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// TestUpDownUp lets two versions of a program take turns at random, with every kind of write, compaction and reopening
// between, and compares with what the rows should be.
func TestUpDownUp(t *testing.T) {
	base := memDir(t)
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		p := &pair{t: t, dir: fmt.Sprintf("%s/%d", base, round), model: map[string]visitV3{}}
		p.old, p.oldRows = open1(t, p.dir)
		p.neu, p.neuRows = open3(t, p.dir)
		must(p.old.Load(noContext))
		must(p.neu.Load(noContext))
		p.turn(true)
		rt.Repeat(map[string]func(*rapid.T){
			"put":     func(rt *rapid.T) { p.put(key(rt), rapid.Int64Range(0, 9).Draw(rt, "count")) },
			"delete":  func(rt *rapid.T) { p.remove(key(rt)) },
			"turn":    func(rt *rapid.T) { p.turn(rapid.Bool().Draw(rt, "new")) },
			"compact": func(*rapid.T) { p.compact() },
			"":        func(rt *rapid.T) { p.compare(rt) },
		})
		must(0, p.old.Close())
		must(0, p.neu.Close())
	})
}

func key(rt *rapid.T) string { return rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(rt, "key") }

// pair is two versions of a program on one log; the model is what the newer one should see.
type pair struct {
	t        *testing.T
	dir      string
	old, neu *Store
	oldRows  *Table[visitV1]
	neuRows  *Table[visitV3]
	newer    bool // the newer one writes
	count    int
	model    map[string]visitV3
}

func (p *pair) put(key string, count int64) {
	p.count++
	if p.newer {
		v := visitV3{First: fmt.Sprint(p.count), Last: "x", Count: count, Seen: time.Unix(int64(p.count), 1).UTC()}
		must(0, p.neuRows.Put(key, v))
		p.model[key] = v
		return
	}
	was, ok := p.model[key]
	if !ok {
		was = visitV3{First: "fresh"}
	}
	was.Count = count
	p.model[key] = was
	must(p.oldRows.Update(key, func(v visitV1, ok bool) (visitV1, error) {
		if !ok {
			v.User = "fresh"
		}
		v.Count = count
		return v, nil
	}))
}

func (p *pair) remove(key string) {
	delete(p.model, key)
	if p.newer {
		must(p.neuRows.Delete(key))
		return
	}
	must(p.oldRows.Delete(key))
}

func (p *pair) turn(newer bool) {
	p.newer = newer
	if newer {
		must(p.neu.Activate(context.Background(), version(1)))
		return
	}
	must(p.old.Activate(context.Background(), version(3)))
}

func (p *pair) compact() {
	if p.newer {
		return // shadows are written
	}
	m := mover{t: p.oldRows.rows, build: p.oldRows.rows.copy, pick: func(item) bool { return true }}
	must(0, m.run(context.Background()))
}

func (p *pair) compare(rt *rapid.T) {
	must(0, p.old.catchUp(noContext))
	must(0, p.neu.catchUp(noContext))
	got := map[string]visitV3{}
	must(0, p.neuRows.Range(func(k string, v visitV3) bool { got[k] = v; return true }))
	if !reflect.DeepEqual(got, p.model) {
		rt.Fatalf("the newer one sees %+v\nwant %+v", got, p.model)
	}
	for k, v := range p.model {
		if o, ok := p.oldRows.Get(k); !ok || o != (visitV1{User: v.First + v.Last, Count: v.Count}) {
			rt.Fatalf("the older one sees %s as %+v, the row is %+v", k, o, v)
		}
	}
	if p.oldRows.Len() != len(p.model) {
		rt.Fatalf("the older one sees %d rows, want %d", p.oldRows.Len(), len(p.model))
	}
}
