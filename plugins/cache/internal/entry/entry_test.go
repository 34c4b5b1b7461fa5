package entry

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

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

func TestFieldsAreAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var fs Fields
		model := map[string]string{}
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			name, value := []byte(rapid.SampledFrom([]string{"a", "b", "c", ""}).Draw(t, "name")), anyBytes(t, "value")
			_, had := model[string(name)]
			if rapid.Bool().Draw(t, "set") {
				if fs.Set(name, value) == had {
					t.Fatalf("set %q says %v", name, had)
				}
				model[string(name)] = string(value)
			} else {
				if fs.Delete(name) != had {
					t.Fatalf("delete %q", name)
				}
				delete(model, string(name))
			}
			var err error
			if fs, err = ParseFields(fs.Payload()); err != nil {
				t.Fatal(err)
			}
		}
		got := map[string]string{}
		for _, f := range fs {
			got[string(f.Name)] = string(f.Value)
		}
		if fmt.Sprint(got) != fmt.Sprint(model) || len(fs) != len(model) {
			t.Fatalf("got %v, want %v", got, model)
		}
	})
}

// No bytes make the reader panic, and what it takes it writes again.
func FuzzParse(f *testing.F) {
	f.Add([]byte{0})
	f.Add((&Entry{Kind: Hash, TTL: 5, Tags: []string{"a"}, Payload: Fields{{[]byte("f"), []byte("v")}}.Payload()}).Append(nil))
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
