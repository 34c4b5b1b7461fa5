package state

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// addMany is a step with names of many lengths, so that they stand between the fields of any row.
var addMany = Add{From: 1, Fields: map[string]any{
	"": 1, "b": time.Time{}, "m": []string{}, "seen": time.Unix(7, 0), strings.Repeat("x", 23): 7, strings.Repeat("x", 300): 1.5,
}}

// sameAsAdd wants of the adder what its Add does: the same bytes or the same refusal.
func sameAsAdd(t rapid.TB, a Add, row, rest []byte) {
	t.Helper()
	fast := must(a.ready())
	got, gotErr := stepUp(fast, "k", bytes.Clone(row), bytes.Clone(rest))
	want, wantErr := stepUp(a, "k", bytes.Clone(row), bytes.Clone(rest))
	if !bytes.Equal(got, want) || (gotErr == nil) != (wantErr == nil) {
		t.Fatalf("up from %x with %x: got %x, %v, want %x, %v", row, rest, got, gotErr, want, wantErr)
	}
	got, gotRest, gotErr := stepDown(fast, "k", bytes.Clone(row))
	want, wantRest, wantErr := stepDown(a, "k", bytes.Clone(row))
	if !bytes.Equal(got, want) || !bytes.Equal(gotRest, wantRest) || (gotRest == nil) != (wantRest == nil) ||
		(gotErr == nil) != (wantErr == nil) {
		t.Fatalf("down from %x: got %x, %x, %v, want %x, %x, %v", row, got, gotRest, gotErr, want, wantRest, wantErr)
	}
}

// FuzzAdd gives rows that no encoder made to the way that decodes and to the one that does not.
func FuzzAdd(f *testing.F) {
	enc := func(v any) []byte { return must(encode(v)) }
	for _, row := range [][]byte{
		enc(visitV1{User: "ada", Count: 3}), enc(visitV2{User: "ada", Seen: time.Unix(1, 2)}), enc(map[string]any{}),
		enc(map[string]any{"m": []any{1, "x", map[string]int{"y": -70000}, nil, true, 1.25, math.Inf(1)}, "zz": []byte{1}}),
		enc(addMany.Fields), enc(7),
		{0xf6},
		{0xa1},
		{},
		{0xbf, 0x61, 'a', 1, 0xff},
		{0xa2, 0x61, 'b', 1, 0x61, 'a', 2},
		{0xa2, 0x61, 'a', 1, 0x61, 'a', 2},
		{0xa1, 0x78, 1, 'a', 1},
		{0xb8, 1, 0x61, 'a', 1},
		{0xa1, 0x61, 0xff, 1},
		{0xa1, 0x61, 'a', 0xc2, 0x41, 1},
		{0xa1, 0x61, 'a', 0xf7},
		{0xa1, 0x61, 'a', 0xf8, 0x20},
		{0xa1, 0x61, 'a', 0x18, 1},
		{0xa1, 0x61, 'a', 0xf9, 0, 0},
		{0xa1, 0x41, 'a', 1},
		{0xa1, 0x61, 'a', 0x9f, 0xff},
		{0xa1, 0x61, 'a', 1, 0},
		append([]byte{0xa1, 0x61, 'a'}, append(bytes.Repeat([]byte{0x81}, 300), 1)...),
	} {
		f.Add(row, []byte{0xa0}, false)
		f.Add(row, enc(map[string]any{"m": 1, "seen": nil}), true)
		f.Add(enc(visitV1{}), row, true)
	}
	f.Fuzz(func(t *testing.T, row, rest []byte, down bool) {
		if !down {
			rest = nil
		} else if rest == nil {
			rest = []byte{}
		}
		sameAsAdd(t, addMany, row, rest)
		sameAsAdd(t, addSeen, row, rest)
	})
}

// A row as the encoder makes it never needs to be decoded.
func TestAddDecodesNoRow(t *testing.T) {
	value := rapid.OneOf(
		rapid.Map(rapid.Int64(), func(v int64) any { return v }), rapid.Map(rapid.String(), func(v string) any { return v }),
		rapid.Map(rapid.Float64(), func(v float64) any { return v }), rapid.Map(rapid.Bool(), func(v bool) any { return v }),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(v []byte) any { return v }),
		rapid.Map(rapid.MapOf(rapid.String(), rapid.SliceOf(rapid.Uint64())), func(v map[string][]uint64) any { return v }),
	)
	name := rapid.OneOf(rapid.SampledFrom([]string{"", "a", "b", "c", "m", "seen", strings.Repeat("x", 300)}), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		row := must(encode(rapid.MapOf(name, value).Draw(t, "row")))
		rest := must(encode(rapid.MapOf(name, value).Draw(t, "rest")))
		if _, ok := splice(row, rest); !ok {
			t.Fatalf("%x and %x are not plain", row, rest)
		}
		if _, _, ok := part(row, rest); !ok {
			t.Fatalf("%x and %x are not plain", row, rest)
		}
		sameAsAdd(t, addMany, row, rest)
		sameAsAdd(t, addMany, row, nil)
	})
}

// What is kept beside a row is what it was when a map was encoded.
func TestRestsAreAMapFromVersionsToBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := map[int][]byte{}
		var r rests
		for _, v := range rapid.SliceOf(rapid.IntRange(0, 400)).Draw(t, "versions") {
			rest := rapid.SliceOf(rapid.Byte()).Draw(t, "rest")
			if rapid.IntRange(0, 3).Draw(t, "none") == 0 {
				rest = nil
			}
			if r = r.keep(v, rest); rest == nil {
				delete(want, v)
			} else {
				want[v] = rest
			}
		}
		b := r.bytes()
		if len(want) > 0 && !bytes.Equal(b, must(encoder.Marshal(want))) || len(want) == 0 && b != nil {
			t.Fatalf("got %x of %v", b, want)
		}
		again := must(readRests(nil, b))
		for v, rest := range want {
			var got []byte
			if got, again = again.take(v); got == nil || !bytes.Equal(got, rest) {
				t.Fatalf("version %d: got %x, want %x", v, got, rest)
			}
		}
		if len(again) != 0 {
			t.Fatalf("%v are left", again)
		}
	})
	for _, odd := range [][]byte{
		{0xa0, 0}, {0x01}, {0xa1}, {0xa1, 1}, {0xa1, 1, 0xf6}, {0xa1, 0x20, 0x40}, {0xa2, 2, 0x40, 1, 0x40}, {0xa1, 1, 0x42, 0}, {0xbf, 0xff},
	} {
		if r, err := readRests(nil, odd); err == nil {
			t.Errorf("%x is %v", odd, r)
		}
	}
}

// A slab gives a piece of memory out once, and an append to a copy does not reach the next one.
func TestASlabGivesMemoryOutOnce(t *testing.T) {
	var s slab
	var was, is [][]byte
	for i := range 3000 {
		b := bytes.Repeat([]byte{byte(i)}, i)
		was, is = append(was, b), append(is, s.clone(b))
	}
	for i := range is {
		_ = append(is[i], 0xff)
	}
	if s.clone([]byte{}) != nil || is[0] != nil {
		t.Error("a copy of nothing is not nil")
	}
	if is[0] = []byte{}; !reflect.DeepEqual(is, was) {
		t.Error("a copy was written over")
	}
}
