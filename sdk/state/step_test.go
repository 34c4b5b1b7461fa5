package state

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

type visitV1 struct {
	User  string `json:"user"`
	Count int64  `json:"count"`
}

type visitV2 struct {
	User  string    `json:"user"`
	Count int64     `json:"count"`
	Seen  time.Time `json:"seen"`
}

type visitV3 struct {
	First string    `json:"first"`
	Last  string    `json:"last"`
	Count int64     `json:"count"`
	Seen  time.Time `json:"seen"`
}

// split is a step by hand whose way down cannot hold where the name was split.
var split = Step[visitV2, visitV3]{
	From: 2,
	Up: func(_ string, old visitV2, rest []byte) (visitV3, error) {
		first, last := old.User, ""
		if n := len(rest); n > 0 && int(rest[0]) <= len(old.User) {
			first, last = old.User[:rest[0]], old.User[rest[0]:]
		}
		return visitV3{First: first, Last: last, Count: old.Count, Seen: old.Seen}, nil
	},
	Down: func(_ string, v visitV3) (visitV2, []byte, error) {
		if len(v.First) > 255 {
			return visitV2{}, nil, fmt.Errorf("name of %d bytes", len(v.First))
		}
		return visitV2{User: v.First + v.Last, Count: v.Count, Seen: v.Seen}, []byte{byte(len(v.First))}, nil
	},
}

var addSeen = Add{From: 1, Fields: map[string]any{"seen": time.Time{}}}

var (
	schemaV1 = Schema[visitV1]{Name: "visit"}
	schemaV2 = Schema[visitV2]{Name: "visit", Version: 2, Steps: []AnyStep{addSeen}}
	schemaV3 = Schema[visitV3]{Name: "visit", Version: 3, Steps: []AnyStep{addSeen, split}}
)

func TestDownAndUpIsTheIdentity(t *testing.T) {
	chain := must(schemaV3.steps())
	rapid.Check(t, func(t *rapid.T) {
		v := visitV3{
			First: rapid.StringN(0, 20, 60).Draw(t, "first"), Last: rapid.StringN(0, 20, 60).Draw(t, "last"),
			Count: rapid.Int64().Draw(t, "count"),
			Seen:  time.Unix(rapid.Int64Range(-1<<33, 1<<33).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")),
		}
		was := must(encode(v))
		to := rapid.IntRange(1, 2).Draw(t, "to")
		value, rest, err := chain.down("k", 3, to, was, nil)
		if err != nil {
			t.Fatal(err)
		}
		again, rest, err := chain.up("k", to, value, rest)
		if err != nil || !bytes.Equal(again, was) || rest != nil {
			t.Fatalf("came back as %x, %x, %v; was %x", again, rest, err, was)
		}
	})
}

func TestAddFillsWhatNeverWas(t *testing.T) {
	chain := must(Schema[map[string]int]{Version: 2, Steps: []AnyStep{Add{From: 1, Fields: map[string]any{"b": 7}}}}.steps())
	value, _, err := chain.up("k", 1, must(encode(map[string]int{"a": 1})), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := decode[map[string]int](value); !reflect.DeepEqual(got, map[string]int{"a": 1, "b": 7}) {
		t.Errorf("got %v", got)
	}
}

func TestTimeSurvives(t *testing.T) {
	for _, at := range []time.Time{{}, time.Unix(0, 1), time.Date(1899, 1, 1, 0, 0, 0, 5, time.FixedZone("odd", 4321)), time.Now()} {
		got, err := decode[visitV2](must(encode(visitV2{Seen: at})))
		if err != nil || !got.Seen.Equal(at) || got.Seen.IsZero() != at.IsZero() {
			t.Errorf("%v came back as %v, %v", at, got.Seen, err)
		}
	}
}

func TestShapes(t *testing.T) {
	type inner struct{ N int }
	type node struct {
		Next *node `cbor:"next"`
	}
	type all struct {
		inner
		A  string `cbor:"a,omitempty" json:"other"`
		B  []inner
		C  map[string]*int64 `json:"c"`
		D  []byte
		E  [4]byte
		F  any
		T  time.Time
		No int `json:"-"`
		no int
		R  node
	}
	_ = all{no: 1}
	for _, c := range []struct{ got, want string }{
		{shapeOf(reflect.TypeFor[visitV2]()).String(), "{user:string,count:int64,seen:time}"},
		{shapeOf(bytesType).String(), "bytes"},
		{shapeOf(reflect.TypeFor[map[string]bool]()).String(), "map[string]bool"},
		{
			shapeOf(reflect.TypeFor[all]()).String(),
			"{N:int,a:string,B:[{N:int}],c:map[string]int64?,D:bytes,E:bytes4,F:any,T:time,R:{next:^1?}}",
		},
	} {
		if c.got != c.want {
			t.Errorf("got  %s\nwant %s", c.got, c.want)
		}
	}
}

func TestTablesTellTheShapesBefore(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	NewTable(s, "visits", schemaV3, Durable)
	d := s.Tables()[0]
	if d.Version != 3 || !d.Durable || len(d.Steps) != 2 {
		t.Fatalf("got %+v", d)
	}
	if got, want := d.Steps[0].Shape, shapeOf(reflect.TypeFor[visitV1]()).String(); got != want {
		t.Errorf("version 1 is %s, want %s", got, want)
	}
	if got, want := d.Steps[1].Shape, shapeOf(reflect.TypeFor[visitV2]()).String(); got != want {
		t.Errorf("version 2 is %s, want %s", got, want)
	}
}

func TestMistakesInTheProgramPanic(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(s *Store)
		want string
	}{
		{"no name", func(s *Store) { NewTable(s, "", schemaV1) }, "1 to 255"},
		{"a name twice", func(s *Store) { NewTable(s, "a", schemaV1); NewTable(s, "a", schemaV1) }, "of this name"},
		{"a gap", func(s *Store) {
			NewTable(s, "a", Schema[visitV3]{Version: 4, Steps: []AnyStep{split}})
		}, "From 2"},
		{"another type", func(s *Store) {
			NewTable(s, "a", Schema[visitV1]{Version: 3, Steps: []AnyStep{split}})
		}, "where a state.visitV1 is wanted"},
		{"no way down", func(s *Store) {
			NewTable(s, "a", Schema[visitV3]{Version: 3, Steps: []AnyStep{Step[visitV2, visitV3]{From: 2, Up: split.Up}}})
		}, "both Up and Down"},
		{"too many steps", func(s *Store) {
			NewTable(s, "a", Schema[visitV2]{Version: 1, Steps: []AnyStep{addSeen}})
		}, "too many"},
		{"after Load", func(s *Store) { _, _ = s.Load(t.Context()); NewTable(s, "a", schemaV1) }, "read already"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, t.TempDir(), Options{})
			defer func() {
				if p := fmt.Sprint(recover()); !strings.Contains(p, c.want) {
					t.Errorf("got %q, want %q", p, c.want)
				}
			}()
			c.make(s)
		})
	}
}
