package state

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
)

// What an error shows of a row.
const (
	shownKey    = 64 // bytes
	shownValue  = 48
	shownFields = 3
)

// QuoteKey makes a key fit to be shown to people: in quotes, and cut if it is long.
func QuoteKey(key string) string {
	if len(key) <= shownKey {
		return strconv.Quote(key)
	}
	return fmt.Sprintf("%s… (%d bytes)", strconv.Quote(cut(key, shownKey)), len(key))
}

// cut shortens text to at most n bytes, and not within a letter.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for i := n; i > n-utf8.UTFMax; i-- {
		if utf8.RuneStart(text[i]) {
			return text[:i]
		}
	}
	return text[:n]
}

// differs says for people in which fields two rows are not the same.
func differs(was, is []byte) string {
	a, aerr := readFields(was)
	b, berr := readFields(is)
	if aerr != nil || berr != nil {
		return fmt.Sprintf("it was %s, is %s", shown(was), shown(is))
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(merged(a, b))) {
		x, there := a[name]
		y, still := b[name]
		switch {
		case there && !still:
			list = append(list, fmt.Sprintf("%s was %s, is missing", name, shown(x)))
		case still && !there:
			list = append(list, fmt.Sprintf("%s was missing, is %s", name, shown(y)))
		case !bytes.Equal(x, y):
			list = append(list, fmt.Sprintf("%s was %s, is %s", name, shown(x), shown(y)))
		}
	}
	if n := len(list) - shownFields; n > 0 {
		list = append(list[:shownFields], fmt.Sprintf("and %d more fields", n))
	}
	if len(list) == 0 {
		return "the fields are the same, their encoding is not"
	}
	return strings.Join(list, "; ")
}

func merged(a, b fields) fields {
	m := maps.Clone(a)
	maps.Copy(m, b)
	return m
}

// shown is a value as text, cut if it is long; bytes that are no CBOR are shown as they are.
func shown(b []byte) string {
	text, err := cbor.Diagnose(b)
	if err != nil {
		text = strconv.Quote(cut(string(b), shownValue))
	}
	if len(text) <= shownValue {
		return text
	}
	return cut(text, shownValue) + "…"
}
