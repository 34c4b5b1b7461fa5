package appup

import (
	"fmt"
	"slices"
	"strings"

	"github.com/theseusd/theseus/sdk/describe"
)

// remedy is what mends a schema that is not covered.
type remedy struct {
	reason string // why it is not; empty if it is
	advice string // what to do, in words; may be empty
	code   string // Go to write; may be empty
	fill   bool   // an author has to fill something in
}

// hint is the remedy as one text, the code last, so that it can be copied.
func (r remedy) hint() string {
	switch {
	case r.advice == "":
		return r.code
	case r.code == "":
		return r.advice
	}
	return r.advice + ":\n\n" + r.code
}

// uncovered says why the newer schema of a table cannot hold the rows of the older one, and the code that would change
// that.
func uncovered(older, newer describe.Table) remedy {
	switch {
	case newer.Version < older.Version:
		return remedy{
			reason: fmt.Sprintf("its schema goes back from version %d to %d", older.Version, newer.Version),
			advice: fmt.Sprintf("versions of a schema only grow: make it %d", older.Version+1),
		}
	case newer.Version == older.Version && canonical(newer.Shape) == canonical(older.Shape):
		return remedy{}
	case newer.Version == older.Version:
		return raise(older, newer, fmt.Sprintf("its rows have changed from %s to %s, but its schema still has version %d: raise it",
			older.Shape, newer.Shape, older.Version), "")
	}
	return unstepped(older, newer)
}

// unstepped looks for the Step that takes up rows of the older version. Steps lead from one version to the next without a
// gap, so if that one is there the rest of the way is.
func unstepped(older, newer describe.Table) remedy {
	i := slices.IndexFunc(newer.Steps, func(s describe.Step) bool { return s.From == older.Version })
	if i < 0 {
		return missingSteps(older, newer)
	}
	if expects := newer.Steps[i].Shape; expects != "" && canonical(expects) != canonical(older.Shape) {
		return remedy{
			reason: fmt.Sprintf("the Step from version %d expects rows of %s, but they are %s", older.Version, expects, older.Shape),
			advice: "declare the old type as it was", code: oldType(older),
		}
	}
	return remedy{}
}

// missingSteps is the Step to write before those that are there, or why one alone will not do.
func missingSteps(older, newer describe.Table) remedy {
	reason := fmt.Sprintf("its schema goes from version %d to %d, and no Step leads there", older.Version, newer.Version)
	target := newer
	for _, s := range newer.Steps {
		if s.From < target.Version {
			target.Version, target.Shape = s.From, s.Shape
		}
	}
	switch {
	case target.Version == older.Version+1:
		code, fill := draft(older, target, typeName(target, newer))
		return remedy{reason: reason, code: code, fill: fill}
	case len(newer.Steps) == 0:
		return raise(older, newer, reason, fmt.Sprintf("a schema grows by one: it was %d, so ", older.Version))
	}
	return remedy{reason: reason, advice: fmt.Sprintf(
		"bring back the Steps from version %d to %d: they lead from one version to the next, without a gap", older.Version, target.Version)}
}

// raise is the advice to give the newer schema the next number.
func raise(older, newer describe.Table, reason, because string) remedy {
	newer.Version = older.Version + 1
	code, fill := draft(older, newer, goName(newer))
	return remedy{reason: reason, code: code, fill: fill, advice: fmt.Sprintf(
		"%sset Version to %d in state.Schema[%s]{Name: %q, ...} and write the Step", because, newer.Version, goName(newer), newer.Schema)}
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
