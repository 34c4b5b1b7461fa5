package entry

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func anyBytes(t *rapid.T, name string) []byte {
	return append([]byte{}, rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, name)...)
}

func anyEntry(t *rapid.T) Entry {
	e := Entry{Kind: Kind(rapid.IntRange(0, 1).Draw(t, "kind")), TTL: rapid.Int64Min(0).Draw(t, "ttl")}
	for range rapid.IntRange(0, 3).Draw(t, "tags") {
		e.Tags, e.Seq = append(e.Tags, string(anyBytes(t, "tag"))), rapid.Uint64().Draw(t, "seq")
	}
	if e.Payload = anyBytes(t, "payload"); e.Kind == Hash {
		var fs Fields
		for range rapid.IntRange(0, 4).Draw(t, "fields") {
			fs.Set(anyBytes(t, "name"), anyBytes(t, "value"))
		}
		e.Payload = fs.Payload()
	}
	return e
}

func TestRowsAreReadAsTheyWereWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyEntry(t)
		got, err := Parse(want.Append(nil))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
	})
}

// Going down to the version before and up again is the identity, and what that version writes is a string.
func TestDownAndUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anyEntry(t)
		row := e.Append(nil)
		payload, keep, err := Down(row)
		if err != nil || !bytes.Equal(Up(payload, keep), row) {
			t.Fatalf("%x came back as %x, %v", row, Up(payload, keep), err)
		}
		written := anyBytes(t, "written")
		if up, err := Parse(Up(written, keep)); err != nil || !bytes.Equal(up.Payload, written) {
			t.Fatalf("%q came up as %+v, %v", written, up, err)
		}
		if up, err := Parse(Up(written, nil)); err != nil || !reflect.DeepEqual(up, Entry{Payload: written}) {
			t.Fatalf("%q came up as %+v, %v", written, up, err)
		}
	})
}

// Fields are a map that knows in which order its names came, of any size and however often it is asked.
func TestFieldsAreAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var fs Fields
		var order []string
		model := map[string]string{}
		anyName := rapid.Custom(func(t *rapid.T) string { return fmt.Sprint(rapid.IntRange(0, 60).Draw(t, "name")) })
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			name, value := anyName.Draw(t, "field"), anyBytes(t, "value")
			got, had := fs.Get([]byte(name))
			if want, ok := model[name]; had != ok || string(got) != want {
				t.Fatalf("get %q: %q, %v; want %q", name, got, had, want)
			}
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				other := anyName.Draw(t, "other")
				before := len(model)
				delete(model, name)
				delete(model, other)
				order = slices.DeleteFunc(order, func(n string) bool { return n == name || n == other })
				if n := fs.Delete([]byte(name), []byte(other), []byte(name)); n != before-len(model) {
					t.Fatalf("delete %q and %q: %d, want %d", name, other, n, before-len(model))
				}
			case 1:
				var err error
				if fs, err = ParseFields(fs.Payload()); err != nil {
					t.Fatal(err)
				}
			default:
				if fs.Set([]byte(name), value) == had {
					t.Fatalf("set %q says %v", name, had)
				}
				if !had {
					order = append(order, name)
				}
				model[name] = string(value)
			}
		}
		var got []string
		for _, f := range fs.All {
			got = append(got, string(f.Name))
		}
		if !slices.Equal(got, order) || fs.Len() != len(model) {
			t.Fatalf("got %v, want %v", got, order)
		}
	})
}

// A hash of half a million fields took minutes to be set, read or deleted, as each name was compared with each.
func TestManyFieldsAtOnce(t *testing.T) {
	const n = 500_000
	var fs Fields
	names := make([][]byte, n)
	began := time.Now()
	for i := range names {
		names[i] = fmt.Append(nil, i)
		fs.Set(names[i], names[i])
	}
	for _, name := range names {
		fs.Get(name)
	}
	fs, err := ParseFields(fs.Payload())
	if err != nil || fs.Delete(names...) != n || time.Since(began) > 20*time.Second {
		t.Errorf("after %v: %d are left, %v", time.Since(began), fs.Len(), err)
	}
}

// No bytes make the reader panic, and what it takes it writes again.
func FuzzParse(f *testing.F) {
	f.Add([]byte{0})
	f.Add((&Entry{Kind: Hash, TTL: 5, Tags: []string{"a"}, Payload: (&Fields{All: []Field{{[]byte("f"), []byte("v")}}}).Payload()}).Append(nil))
	f.Add([]byte{9, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Parse(b)
		if err != nil {
			return
		}
		if again, err := Parse(e.Append(nil)); err != nil || !reflect.DeepEqual(again, e) && len(e.Tags) > 0 {
			t.Fatalf("%x: %+v, then %+v, %v", b, e, again, err)
		}
		_, _ = ParseFields(e.Payload)
	})
}
