package appup

import (
	"fmt"
	"time"
)

// Relup is what one service needs to go from one version to another.
type Relup struct {
	Service, From, To string
	Path              []string // versions, From and To among them; more than those two if no appup leads there directly
	Down              bool     // To is the older version, and the manifest of From decides
	Do                Do
	Drain             time.Duration // for requests in hand at the switch
	Probation         time.Duration
	Health            time.Duration // between two health checks of the probation
	Limits            Limits        // of the other gates
	Budget            Budgets       // of its steps
	Irreversible      bool          // past the switch no way back keeps the writes
	Tables            []TableChange // every table of both versions, by name

	VerbsGone     []string // verbs of From that To does not answer
	ListenersGone []string // listeners of From that To does not serve
}

// Changed are the tables that are not the same on both sides.
func (r *Relup) Changed() []TableChange {
	var changed []TableChange
	for _, t := range r.Tables {
		if t.Kind != Same {
			changed = append(changed, t)
		}
	}
	return changed
}

// TableChange is what happens to one table. A version of 0 and an empty shape mean that the table is not there.
type TableChange struct {
	Table              string
	From, To           int // schema versions
	FromShape, ToShape string
	Kind               Kind
}

func (c TableChange) String() string {
	switch c.Kind {
	case Migrate:
		return fmt.Sprintf("%s %d -> %d: %s -> %s", c.Table, c.From, c.To, c.FromShape, c.ToShape)
	case Added:
		return fmt.Sprintf("%s added: %s", c.Table, c.ToShape)
	case Dropped:
		return fmt.Sprintf("%s dropped: %s", c.Table, c.FromShape)
	}
	return fmt.Sprintf("%s %d: the same", c.Table, c.From)
}
