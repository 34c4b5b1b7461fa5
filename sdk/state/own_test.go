package state

import (
	"slices"
	"testing"
	"time"
)

// TestAStepThatWritesIntoItsRowDamagesNothing: what a Step is given is its own, also where a row is written again as it
// is. The row lies in the log, which other processes read.
func TestAStepThatWritesIntoItsRowDamagesNothing(t *testing.T) {
	scribble := Step[[]byte, []byte]{
		From: 1,
		Up:   func(_ string, old, _ []byte) ([]byte, error) { return slices.Clone(old), nil },
		Down: func(_ string, v []byte) ([]byte, []byte, error) {
			low := append(v, "appended"...) // into what lies behind it, if there is room
			clear(v)
			return low, []byte("rest"), nil
		},
	}
	dir := t.TempDir()
	old, _ := openBytes(t, dir, Options{})
	activate(t, old)
	s := open(t, dir, Options{})
	rows := NewTable(s, "kv", Schema[[]byte]{Name: "blob", Version: 2, Steps: []AnyStep{scribble}})
	must(s.Load(noContext))
	must(s.Activate(noContext, map[string]int32{"kv": 1}))
	must(0, rows.Put("a", []byte("value")))
	must(0, rows.Put("b", []byte("other")))
	must(rows.Expire("a", time.Now().Add(time.Hour)))
	for key, want := range map[string]string{"a": "value", "b": "other"} {
		if v, _ := rows.Get(key); string(v) != want {
			t.Errorf("row %s is %q", key, v)
		}
	}
	must(0, s.Release())
	again, _ := openBytes(t, dir, Options{})
	if _, err := again.Load(noContext); err != nil {
		t.Errorf("the log cannot be read any more: %v", err)
	}
}
