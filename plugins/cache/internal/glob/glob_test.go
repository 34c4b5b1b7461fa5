package glob

import (
	"testing"

	"pgregory.net/rapid"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"a*", "abc", true},
		{"*c", "abc", true},
		{"*b*", "abc", true},
		{"*d*", "abc", false},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"a**c", "abbc", true},
		{"[a-c]x", "bx", true},
		{"[c-a]x", "bx", true},
		{"[^a-c]x", "bx", false},
		{"[^a-c]x", "dx", true},
		{"[abc", "b", true},
		{"[]a", "a", false},
		{`\*`, "*", true},
		{`\*`, "a", false},
		{`[\]]`, "]", true},
		{`a\`, `a\`, true},
		{"user:*:name", "user:42:name", true},
		{"a*b*c", "aXbXbXc", true},
		{"*a", "aab", false},
	} {
		if got := Match([]byte(c.pattern), []byte(c.text)); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.pattern, c.text, got)
		}
	}
}

// slow is match without classes, by its definition.
func slow(p, s string) bool {
	switch {
	case p == "":
		return s == ""
	case p[0] == '*':
		return slow(p[1:], s) || s != "" && slow(p, s[1:])
	}
	return s != "" && (p[0] == '?' || p[0] == s[0]) && slow(p[1:], s[1:])
}

func TestMatchByDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab?*]{0,8}`).Draw(t, "pattern")
		text := rapid.StringMatching(`[ab]{0,10}`).Draw(t, "text")
		if got := Match([]byte(pattern), []byte(text)); got != slow(pattern, text) {
			t.Fatalf("Match(%q, %q) = %v", pattern, text, got)
		}
	})
}

func FuzzMatch(f *testing.F) {
	f.Add([]byte("a*[^b-d]?\\*"), []byte("aexyz*"))
	f.Fuzz(func(t *testing.T, pattern, text []byte) {
		Match(pattern, text) // ends, and reads nothing that is not there
		if !Match([]byte("*"), text) {
			t.Errorf("* does not match %q", text)
		}
	})
}
