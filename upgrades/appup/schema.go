package appup

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// keys maps the keys of a table of the manifest to the types of their values.
func keys(table reflect.Type) map[string]reflect.Type {
	m := make(map[string]reflect.Type)
	for i := range table.NumField() {
		if tag, ok := table.Field(i).Tag.Lookup("toml"); ok {
			m[tag] = table.Field(i).Type
		}
	}
	return m
}

// isTable says whether keys can stand below a value of this type.
func isTable(t reflect.Type) bool { return t.Kind() == reflect.Struct || t.Kind() == reflect.Map }

// isTables says whether t is written as [[table]].
func isTables(t reflect.Type) bool { return t.Kind() == reflect.Slice && isTable(t.Elem()) }

// kindOf is how a value of type t is written behind an equals sign.
func kindOf(t reflect.Type) unstable.Kind {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return unstable.InlineTable
	case reflect.Slice:
		return unstable.Array
	case reflect.Bool:
		return unstable.Bool
	case reflect.Int:
		return unstable.Integer
	default:
		return unstable.String // Duration and Do too, although Go counts them
	}
}

func wrongType(at spot, is string) string {
	want := article(kindOf(at.typ))
	if isTables(at.typ) {
		want = "an array of tables"
	}
	return fmt.Sprintf("%s is %s here and must be %s", at.path, is, want)
}

func article(k unstable.Kind) string {
	switch k {
	case unstable.Array:
		return "an array"
	case unstable.InlineTable:
		return "a table"
	case unstable.Integer:
		return "an integer"
	case unstable.Bool:
		return "a boolean"
	case unstable.String, unstable.Float:
		return "a " + strings.ToLower(k.String())
	default:
		return "a date or time"
	}
}

// example shows how a value of type t is written, where that is not plain.
func example(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Duration]():
		return `a duration is written as "200ms" or "10s"`
	case reflect.TypeFor[ErrorRate]():
		return `write it as "1%", or "off"`
	case reflect.TypeFor[P99]():
		return `write it as "3x", "250ms", "3x, 250ms" or "off"`
	case reflect.TypeFor[Do]():
		return `write "update", "load" or "restart"`
	}
	return ""
}

// nearest says which known key somebody may have meant who wrote name into table.
func nearest(name string, table reflect.Type) string {
	known := make([]string, 0, table.NumField())
	for key := range keys(table) {
		known = append(known, key)
	}
	slices.Sort(known)
	best := Nearest(name, known)
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	if _, ok := keys(reflect.TypeFor[Manifest]())[name]; ok {
		return fmt.Sprintf("%q belongs above the first [table]", name)
	}
	return "known here: " + strings.Join(known, ", ")
}

// Nearest is the known name that somebody may have meant by another one; "" if none is near.
func Nearest(name string, known []string) (best string) {
	nearest := max(2, len(name)/2)
	for _, key := range known {
		if d := distance(strings.ToLower(name), key); d <= nearest && d < len(key) {
			best, nearest = key, d-1
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap with a neighbour to make b of a.
func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			d[i][j] = cheapest(d, a, b, i, j)
		}
	}
	return d[len(a)][len(b)]
}

// cheapest is the distance of the first i letters of a from the first j of b, given all shorter ones.
func cheapest(d [][]int, a, b string, i, j int) int {
	replace := d[i-1][j-1]
	if a[i-1] != b[j-1] {
		replace++
	}
	best := min(replace, d[i-1][j]+1, d[i][j-1]+1)
	if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
		best = min(best, d[i-2][j-2]+1)
	}
	return best
}
