package upgrades

import "fmt"

// State is how far an upgrade has come.
type State string

// The states of an upgrade; the records that lead to them have the same names.
const (
	Planned     State = "planned"      // every step is in the journal
	Verified    State = "verified"     // packages, schemas and requirements fit
	Started     State = "started"      // the new versions are up as standbys
	Rehearsed   State = "rehearsed"    // every row went up and down again
	Following   State = "following"    // connections travel ahead, the lag is small
	Switching   State = "switching"    // the old versions let go, one after another
	Committed   State = "committed"    // the new versions win
	Probation   State = "probation"    // they serve and are watched
	Permanent   State = "permanent"    // the end, with the new versions
	Aborted     State = "aborted"      // the end before the commit, with the old versions
	RollingBack State = "rolling_back" // the old versions win again
	RolledBack  State = "rolled_back"  // the end after the commit, with the old versions
)

// Records that are no states.
const (
	Built     = "built"     // a release is there
	Booted    = "booted"    // the first release runs and is permanent
	Removed   = "removed"   // a release is no longer there
	Restarted = "restarted" // a new version that died on probation is started again
	Dropped   = "dropped"   // older records are no longer there; has what they have led to
	Switched  = "switched"  // one of several services goes over to its new version; the one that decides is Committed
)

// What is not in next cannot happen: state, record, next state.
var next = map[State]map[string]State{
	"":        {string(Planned): Planned},
	Planned:   {string(Verified): Verified, string(Aborted): Aborted},
	Verified:  {string(Started): Started, string(Aborted): Aborted},
	Started:   {string(Rehearsed): Rehearsed, string(Aborted): Aborted},
	Rehearsed: {string(Following): Following, string(Aborted): Aborted},
	Following: {string(Switching): Switching, string(Aborted): Aborted},
	Switching: {Switched: Switching, string(Committed): Committed, string(Aborted): Aborted},
	Committed: {Switched: Committed, string(Probation): Probation, string(RollingBack): RollingBack},
	Probation: {
		string(Probation):   Probation, // again from its beginning, after a crash
		Restarted:           Probation,
		string(Permanent):   Permanent,
		string(RollingBack): RollingBack,
	},
	RollingBack: {
		string(RolledBack): RolledBack,
		string(Permanent):  Permanent, // no way back was found, and the new version can serve
	},
}

// after returns the state that a record leads to.
func (s State) after(record string) (State, error) {
	if to, ok := next[s][record]; ok {
		return to, nil
	}
	return s, fmt.Errorf("upgrades: an upgrade that is %q cannot become %q", string(s), record)
}

// Ended is true for the states that nothing follows.
func (s State) Ended() bool { return len(next[s]) == 0 }

// Decided is true once the new versions win; going back is another decision.
func (s State) Decided() bool {
	switch s {
	case Committed, Probation, Permanent, RollingBack, RolledBack:
		return true
	default:
		return false
	}
}
