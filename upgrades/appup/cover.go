package appup

import (
	"fmt"
	"slices"
	"strings"

	"github.com/theseusd/theseus/sdk/describe"
)

// uncovered says why the newer schema of a table cannot hold the rows of the older one, and the code that would change
// that. The reason is empty if it can.
func uncovered(older, newer describe.Table) (reason, hint string) {
	switch {
	case newer.Version < older.Version:
		return fmt.Sprintf("its schema goes back from version %d to %d", older.Version, newer.Version),
			fmt.Sprintf("versions of a schema only grow: make it %d", older.Version+1)
	case newer.Version == older.Version && canonical(newer.Shape) == canonical(older.Shape):
		return "", ""
	case newer.Version == older.Version:
		return fmt.Sprintf("its rows have changed from %s to %s, but its schema still has version %d: raise it",
			older.Shape, newer.Shape, older.Version), raise(older, newer)
	}
	return unstepped(older, newer)
}

// unstepped looks for the Step that takes up rows of the older version. Steps lead from one version to the next without a
// gap, so if that one is there the rest of the way is.
func unstepped(older, newer describe.Table) (reason, hint string) {
	i := slices.IndexFunc(newer.Steps, func(s describe.Step) bool { return s.From == older.Version })
	if i < 0 {
		return fmt.Sprintf("its schema goes from version %d to %d, and no Step leads there", older.Version, newer.Version),
			missingSteps(older, newer)
	}
	if expects := newer.Steps[i].Shape; expects != "" && canonical(expects) != canonical(older.Shape) {
		return fmt.Sprintf("the Step from version %d expects rows of %s, but they are %s", older.Version, expects, older.Shape),
			fmt.Sprintf("declare the old type as it was:\n\n%s", oldType(older))
	}
	return "", ""
}

// missingSteps is the Step to write before those that are there, or why one alone will not do.
func missingSteps(older, newer describe.Table) string {
	target := newer
	for _, s := range newer.Steps {
		if s.From < target.Version {
			target.Version, target.Shape = s.From, s.Shape
		}
	}
	switch {
	case target.Version == older.Version+1:
		return draft(older, target, typeName(target, newer))
	case len(newer.Steps) == 0:
		return fmt.Sprintf("a schema grows by one: it was %d, so %s", older.Version, raise(older, newer))
	}
	return fmt.Sprintf("bring back the Steps from version %d to %d: they lead from one version to the next, without a gap",
		older.Version, target.Version)
}

// raise is the advice to give the newer schema the next number.
func raise(older, newer describe.Table) string {
	newer.Version = older.Version + 1
	return fmt.Sprintf("set Version to %d in state.Schema[%s]{Name: %q, ...} and write the Step:\n\n%s",
		newer.Version, goName(newer), newer.Schema, draft(older, newer, goName(newer)))
}

// draft is the Go code that takes rows from the older to the newer version and back. An author has to fill in what no
// comparison of types can know; where only fields were added nothing is left to fill in.
func draft(older, newer describe.Table, name string) string {
	if added, ok := addedFields(older.Shape, newer.Shape); ok {
		return draftAdd(older, added)
	}
	old := oldName(older)
	return fmt.Sprintf(`%s

state.Step[%s, %s]{
	From: %d,
	Up: func(key string, old %s, rest []byte) (%s, error) {
		// make the new row of the old one; rest is what Down once kept
	},
	Down: func(key string, v %s) (old %s, rest []byte, err error) {
		// make the old row of the new one; keep in rest what it cannot hold
	},
}`, oldType(older), old, name, older.Version, old, name, name, old)
}

func draftAdd(older describe.Table, added []field) string {
	lines := make([]string, len(added))
	for i, f := range added {
		lines[i] = fmt.Sprintf("\t%q: %s,\n", f.name, zero(f.shape))
	}
	return fmt.Sprintf("state.Add{From: %d, Fields: map[string]any{\n%s}}", older.Version, strings.Join(lines, ""))
}

// oldType declares the type of the older version's rows.
func oldType(older describe.Table) string {
	return fmt.Sprintf("type %s %s", oldName(older), goType(older.Shape, ""))
}

// goName is what the author most likely calls the type of a schema.
func goName(t describe.Table) string { return export(t.Schema) }

// typeName is the name of the type that a Step ends in: that of the table's rows, or of an older version of them.
func typeName(target, newest describe.Table) string {
	if target.Version == newest.Version {
		return goName(newest)
	}
	return oldName(target)
}

// oldName is the name of the type that keeps an older version's rows, as in visitV1.
func oldName(t describe.Table) string {
	name := goName(t)
	return strings.ToLower(name[:1]) + name[1:] + fmt.Sprintf("V%d", t.Version)
}
