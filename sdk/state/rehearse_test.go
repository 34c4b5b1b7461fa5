package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// stepOf is a step from visitV1 to visitV2 that is right but for what is given.
func stepOf(up func(string, visitV1, []byte) (visitV2, error), down func(string, visitV2) (visitV1, []byte, error)) Step[visitV1, visitV2] {
	s := Step[visitV1, visitV2]{From: 1, Up: up, Down: down}
	if up == nil {
		s.Up = func(_ string, o visitV1, _ []byte) (visitV2, error) {
			return visitV2{User: o.User, Count: o.Count}, nil
		}
	}
	if down == nil {
		s.Down = func(_ string, v visitV2) (visitV1, []byte, error) { return visitV1{v.User, v.Count}, nil, nil }
	}
	return s
}

// wantRow wants the error of a row that names the table, the key and all words.
func wantRow(t *testing.T, err error, key string, words ...string) {
	t.Helper()
	var row *RowError
	if !errors.As(err, &row) || row.Table != "visits" || row.Key != key {
		t.Fatalf("got %v, want an error of row %q", err, key)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q lacks %q", err, w)
		}
	}
}

func TestARehearsalSaysWhatBrokeAndWhere(t *testing.T) {
	const bad = "row 250"
	fails := errors.New("odd row")
	var clock atomic.Int64
	for _, c := range []struct {
		name  string
		step  Step[visitV1, visitV2]
		check func(string, visitV2) error
		want  []string
	}{
		{name: "up fails", step: stepOf(func(k string, o visitV1, _ []byte) (v visitV2, err error) {
			if k == bad {
				return v, fails
			}
			return visitV2{User: o.User, Count: o.Count}, nil
		}, nil), want: []string{`row "row 250" of table visits: up from version 1: odd row`}},
		{name: "check refuses", step: stepOf(nil, nil), check: func(k string, _ visitV2) error {
			if k == bad {
				return fails
			}
			return nil
		}, want: []string{"check: odd row"}},
		{name: "check panics", step: stepOf(nil, nil), check: func(k string, _ visitV2) error {
			if k == bad {
				panic("lost my head")
			}
			return nil
		}, want: []string{"check: panic: lost my head"}},
		{name: "down panics", step: stepOf(nil, func(k string, v visitV2) (visitV1, []byte, error) {
			if k == bad {
				panic("no such place")
			}
			return visitV1{v.User, v.Count}, nil, nil
		}), want: []string{"down to version 1: panic: no such place"}},
		{name: "down loses", step: stepOf(nil, func(k string, v visitV2) (visitV1, []byte, error) {
			if k == bad {
				v.Count = 7
			}
			return visitV1{v.User, v.Count}, nil, nil
		}), want: []string{"compare: up and down gives another row", "count was 250, is 7"}},
		{
			name: "up does not take what down kept", step: stepOf(func(k string, o visitV1, rest []byte) (visitV2, error) {
				if rest != nil && k == bad {
					o.User = "somebody"
				}
				return visitV2{User: o.User, Count: o.Count}, nil
			}, func(_ string, v visitV2) (visitV1, []byte, error) { return visitV1{v.User, v.Count}, []byte{1}, nil }),
			want: []string{"compare: up, down and up gives another row", `user was "u", is "somebody"`},
		},
		{name: "up is not the same twice", step: stepOf(func(k string, o visitV1, _ []byte) (visitV2, error) {
			v := visitV2{User: o.User, Count: o.Count}
			if k == bad {
				v.Seen = time.Unix(clock.Add(1), 0)
			}
			return v, nil
		}, nil), want: []string{"compare: up, down and up gives another row", "seen was"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			old, before := open1(t, dir)
			activate(t, old)
			for i := range 400 {
				must(0, before.Put(fmt.Sprint("row ", i), visitV1{User: "u", Count: int64(i)}))
			}
			s := open(t, dir, Options{})
			NewTable(s, "visits", Schema[visitV2]{Version: 2, Steps: []AnyStep{c.step}, Check: c.check})
			must(s.Load(t.Context()))
			_, err := s.Rehearse(t.Context(), nil)
			wantRow(t, err, bad, c.want...)
		})
	}
}

// The way down is rehearsed by the version that serves: what the older one cannot hold must come back.
func TestARehearsalOfTheWayDown(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	forgetful := stepOf(nil, func(k string, v visitV2) (visitV1, []byte, error) {
		if strings.HasPrefix(k, "long") {
			return visitV1{}, nil, errors.New("no room for it")
		}
		return visitV1{v.User, v.Count}, nil, nil
	})
	visits := NewTable(s, "visits", Schema[visitV2]{Version: 2, Steps: []AnyStep{forgetful}})
	activate(t, s)
	for i := range 300 {
		must(0, visits.Put(fmt.Sprint(i), visitV2{Count: int64(i)}))
	}
	r, err := s.RehearseDown(t.Context(), version(1), nil)
	if err != nil || r.Rows != 300 || r.Changed != 300 || r.Lossy != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	if r, err = s.RehearseDown(t.Context(), version(2), nil); err != nil || r.Changed != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	must(0, visits.Put("seen", visitV2{Seen: s.o.Now()}))
	_, err = s.RehearseDown(t.Context(), version(1), nil)
	wantRow(t, err, "seen", "compare: down and up gives another row", "seen was", "no loss is declared")
	must(visits.Delete("seen"))
	key := "long" + strings.Repeat("\xff", 300)
	must(0, visits.Put(key, visitV2{}))
	_, err = s.RehearseDown(t.Context(), version(1), nil)
	wantRow(t, err, key, "down to version 1: no room for it", `row "long\xff`, "(304 bytes)")
	if len(err.Error()) > 500 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
	if _, err = s.RehearseDown(t.Context(), version(-1), nil); err == nil {
		t.Error("there is no way to version -1")
	}
}

// The progress comes from many goroutines and must neither overlap nor go back.
func TestProgressOfARehearsal(t *testing.T) {
	dir := t.TempDir()
	old, before := open1(t, dir)
	activate(t, old)
	for i := range 2000 {
		must(0, before.Put(fmt.Sprint(i), visitV1{}))
	}
	s, _ := open3(t, dir)
	must(s.Load(t.Context()))
	var busy sync.Mutex
	var last uint64
	r, err := s.Rehearse(t.Context(), func(done, total uint64) {
		if !busy.TryLock() {
			t.Error("two calls at once")
			return
		}
		defer busy.Unlock()
		if done < last || done > total {
			t.Errorf("%d of %d after %d", done, total, last)
		}
		last = done
	})
	if err != nil || last != 2000 || r.Rows != 2000 || r.Changed != 2000 {
		t.Errorf("%+v, %v, progress to %d", r, err, last)
	}
	ended, end := context.WithCancelCause(t.Context())
	end(errStop)
	if _, err := s.Rehearse(ended, nil); !errors.Is(err, errStop) {
		t.Errorf("a rehearsal that was ended: %v", err)
	}
}

func TestRowsOfTheSameVersionAreOnlyChecked(t *testing.T) {
	dir := t.TempDir()
	old, before := open1(t, dir)
	activate(t, old)
	for i := range 300 {
		must(0, before.Put(fmt.Sprint(i), visitV1{Count: int64(i)}))
	}
	s := open(t, dir, Options{})
	NewTable(s, "visits", Schema[visitV1]{Check: func(_ string, v visitV1) error {
		if v.Count == 42 {
			return errors.New("not that one")
		}
		return nil
	}})
	must(s.Load(t.Context()))
	_, err := s.Rehearse(t.Context(), nil)
	wantRow(t, err, "42", "check: not that one")
}

func TestDiffers(t *testing.T) {
	enc := func(v any) []byte { return must(encode(v)) }
	for _, c := range []struct {
		was, is []byte
		want    string
	}{
		{enc(map[string]any{"a": 1, "b": "x"}), enc(map[string]any{"a": 2, "c": true}), `a was 1, is 2; b was "x", is missing; c was missing, is true`},
		{enc(map[string]any{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}), enc(map[string]any{}), "a was 1, is missing; b was 1, is missing; c was 1, is missing; and 2 more fields"},
		{enc(7), enc("seven"), `it was 7, is "seven"`},
		{[]byte("\xff\x00raw"), []byte("\xff"), `it was "\xff\x00raw", is "\xff"`},
	} {
		if got := differs(c.was, c.is); got != c.want {
			t.Errorf("got %s\nwant %s", got, c.want)
		}
	}
}

// A row that the version before cannot hold is refused, and so is one whose step panics; neither is in the log, and the
// first of them is known until nobody needs the older shape any more.
func TestARefusedRowIsKnown(t *testing.T) {
	dir := t.TempDir()
	old, before := open1(t, dir)
	activate(t, old)
	s := open(t, dir, Options{})
	visits := NewTable(s, "visits", Schema[visitV2]{Version: 2, Steps: []AnyStep{stepOf(nil,
		func(k string, v visitV2) (visitV1, []byte, error) {
			switch k {
			case "odd":
				return visitV1{}, nil, errors.New("no room for it")
			case "panics":
				panic("lost")
			}
			return visitV1{v.User, v.Count}, nil, nil
		})}})
	must(s.Load(t.Context()))
	must(0, old.Release())
	must(s.Activate(t.Context(), version(1)))
	must(0, visits.Put("good", visitV2{Count: 1}))
	if r := s.Stats().Refused; r != nil {
		t.Fatalf("nothing was refused, but %+v", r)
	}
	err := visits.Put("odd", visitV2{Count: 2})
	wantRow(t, err, "odd", "the version before cannot hold it: down to version 1: no room for it")
	if !errors.Is(err, ErrNoWayDown) {
		t.Error(err)
	}
	_, err = visits.Update("panics", func(v visitV2, _ bool) (visitV2, error) { return v, nil })
	wantRow(t, err, "panics", "panic: lost")
	want := Refusal{Table: "visits", Key: "odd", Reason: "down to version 1: no room for it"}
	if r := s.Stats().Refused; r == nil || *r != want {
		t.Errorf("refused is %+v", r)
	}
	must(s.Activate(t.Context(), version(1))) // once more, as after a crash of the daemon
	if s.Stats().Refused == nil {
		t.Error("the refusal is forgotten")
	}
	must(0, s.Release())
	must(old.Activate(t.Context(), nil))
	if v, ok := before.Get("good"); !ok || v.Count != 1 || before.Len() != 1 {
		t.Errorf("%+v, %d rows", v, before.Len())
	}
	must(s.Activate(t.Context(), version(1)))
	if s.Stats().Refused != nil {
		t.Error("the refusal of an earlier probation is still known")
	}
	_ = visits.Put("odd", visitV2{})
	must(0, s.Settle(t.Context()))
	if err := visits.Put("odd", visitV2{}); err != nil || s.Stats().Refused != nil {
		t.Errorf("when nobody needs the older shape: %v, %+v", err, s.Stats().Refused)
	}
}

// On a disk that is full in a probation the row and its older shape are both there or both not.
func TestAFullDiskInAProbationLosesNothing(t *testing.T) {
	var full atomic.Bool
	o := Options{SegmentSize: MinSegmentSize, allocate: func(f *os.File, size int64) error {
		if full.Load() {
			return errNoBlocks
		}
		return allocate(f, size)
	}}
	dir := t.TempDir()
	old := open(t, dir, o)
	before := NewTable(old, "visits", schemaV1)
	activate(t, old)
	must(0, before.Put("first", visitV1{Count: 1}))
	s := open(t, dir, o)
	visits := NewTable(s, "visits", schemaV3)
	must(s.Load(t.Context()))
	must(0, old.Release())
	must(0, old.prepareAhead())
	must(s.Activate(t.Context(), version(1)))
	full.Store(true)
	want, err := map[string]int64{"first": 1}, error(nil)
	for i := range 10_000 {
		k := fmt.Sprint("k", i)
		if err = visits.Put(k, visitV3{First: strings.Repeat("x", i%50), Count: int64(i)}); err != nil {
			break
		}
		want[k] = int64(i)
	}
	if !errors.Is(err, ErrNoSpace) || len(want) < 20 || s.Stats().Refused != nil {
		t.Fatalf("%d rows were taken, then: %v", len(want), err)
	}
	must(0, s.Release())
	must(old.Activate(t.Context(), version(3))) // the way back has a segment in reserve
	got := map[string]int64{}
	must(0, before.Range(func(k string, v visitV1) bool { got[k] = v.Count; return true }))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%d rows are there, %d were acknowledged", len(got), len(want))
	}
	must(0, before.Put("after", visitV1{}))
}
