package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAFileIsNoTerminal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	if s := newScreen(f); s.terminal || s.colour || s.paint(red, "x") != "x" {
		t.Errorf("got %+v", s)
	}
}

func TestColoursCanBeTurnedOff(t *testing.T) {
	for _, tc := range []struct {
		name string
		env  map[string]string
		want bool
	}{
		{"by default they are on", nil, true},
		{"NO_COLOR", map[string]string{"NO_COLOR": "1"}, false},
		{"a terminal without them", map[string]string{"TERM": "dumb"}, false},
	} {
		if got := coloured(func(key string) string { return tc.env[key] }); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func FuzzShorten(f *testing.F) {
	f.Add("visits 1 -> 2: {a:string} -> {a:string,b:{c:int64}}")
	f.Add("v 1 -> 2: {} -> {,}")
	f.Add(": {} -> {}")
	f.Fuzz(func(t *testing.T, detail string) {
		if got := shorten(detail); got == "" && detail != "" {
			t.Errorf("%q becomes nothing", detail)
		}
	})
}
