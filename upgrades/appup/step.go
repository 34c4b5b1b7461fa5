package appup

import (
	"fmt"
	"slices"
	"strings"

	"github.com/theseusd/theseus/sdk/describe"
)

// draft is the Go code that takes rows from the older to the newer version and back. It compiles if the newer row has the
// names and types that its shape tells. What no comparison of types can know an author has to fill in; until then the
// Step fails, which the rehearsal shows, so that no row is lost by a draft. Where only fields were added nothing is left
// to fill in.
func draft(older, newer describe.Table, name string) (code string, fill bool) {
	if added, ok := addedFields(older.Shape, newer.Shape); ok {
		return draftAdd(older, added), false
	}
	d := match(older, newer)
	old := oldName(older)
	return fmt.Sprintf(`%s

state.Step[%s, %s]{
	From: %d,
	Up: func(key string, old %s, rest []byte) (v %s, err error) {
%s		// fill in: make the new row of the old one%s; rest is what Down once kept
		return v, errors.New("the Step from version %d of %s is not written yet")
	},
	Down: func(key string, v %s) (old %s, rest []byte, err error) {
%s		// fill in: make the old row of the new one%s; keep in rest what it cannot hold
		return old, nil, errors.New("the Step from version %d of %s is not written yet")
	},
}`, oldType(older), old, name, older.Version,
		old, name, d.copies("v", "old"), what("new", d.comes)+what("gone", d.goes), older.Version, older.Schema,
		name, old, d.copies("old", "v"), what("new", d.goes)+what("gone", d.comes), older.Version, older.Schema), true
}

// matched are the fields of two structs by what becomes of them on the way up.
type matched struct{ stays, comes, goes []string }

// match compares two rows; of what is no struct nothing is known.
func match(older, newer describe.Table) (m matched) {
	before, ok1 := parseShape(older.Shape)
	after, ok2 := parseShape(newer.Shape)
	if !ok1 || !ok2 {
		return m
	}
	for _, f := range after {
		if slices.Contains(before, f) && !strings.Contains(f.shape, "{") {
			m.stays = append(m.stays, f.name)
		} else {
			m.comes = append(m.comes, f.name)
		}
	}
	for _, f := range before {
		if !slices.Contains(m.stays, f.name) {
			m.goes = append(m.goes, f.name)
		}
	}
	return m
}

// copies are the assignments of the fields that are the same on both sides.
func (m matched) copies(to, from string) string {
	var b strings.Builder
	for _, name := range m.stays {
		fmt.Fprintf(&b, "\t\t%s.%s = %s.%s\n", to, export(name), from, export(name))
	}
	return b.String()
}

// what names fields that no assignment was written for.
func what(word string, fields []string) string {
	if len(fields) == 0 {
		return ""
	}
	return fmt.Sprintf("; %s: %s", word, strings.Join(fields, ", "))
}

func draftAdd(older describe.Table, added []field) string {
	lines := make([]string, len(added))
	for i, f := range added {
		lines[i] = fmt.Sprintf("\t%q: %s,\n", f.name, zero(f.shape))
	}
	return fmt.Sprintf("state.Add{From: %d, Fields: map[string]any{\n%s}}", older.Version, strings.Join(lines, ""))
}
