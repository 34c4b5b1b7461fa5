package upgrades

import (
	"fmt"

	"github.com/theseusd/theseus/sdk/describe"
	"github.com/theseusd/theseus/upgrades/release"
)

// worn refuses a version whose schemas have numbers under which another version has already written rows of another
// shape, be it one that was rolled back: the log may still hold such rows, and the number is all that tells them.
func (e *Engine) worn(p release.Package) error {
	for _, it := range e.served(p.Name) {
		if it.Digest == p.Digest {
			continue
		}
		was, err := e.packageOf(p.Name, it)
		if err != nil {
			continue // removed from the store: nobody knows its shapes any more
		}
		for _, t := range p.Describe.Tables {
			if o, ok := was.Describe.Table(t.Name); ok && o.Version == t.Version && o.Shape != t.Shape {
				return e.refuseWorn(was, t, o)
			}
		}
	}
	return nil
}

func (e *Engine) refuseWorn(was release.Package, now, then describe.Table) error {
	return e.refuse(codeUncovered,
		fmt.Sprintf("%s: table %s: version %d of its schema has served as %s in %s, and is %s here",
			was.Name, now.Name, now.Version, then.Shape, was.Version, now.Shape),
		fmt.Sprintf("raise Version of the schema to %d", now.Version+1))
}

// served lists the versions of a service that have ever served.
func (e *Engine) served(service string) (items []item) {
	e.read(func(r *registry) {
		for _, n := range r.releases {
			if it, ok := n.set[service]; ok && n.served {
				items = append(items, it)
			}
		}
	})
	return items
}
