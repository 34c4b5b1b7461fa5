package upgrades

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/release"
)

// registry is what the journal says: which releases there are, which one serves, and what is under way. It is a fold
// over the records and nothing else.
type registry struct {
	releases []*numbered
	serving  string    // the release whose versions win; "" on an empty instance
	upgrade  *underway // nil if none is
	upgrades uint64    // planned so far
	rates    map[string]sample
	seq      map[string]int64 // of each service: see Engine.Seq
	lost     *Failure         // of the last upgrade that went back by itself; nil once another one is permanent
	history  []control.Event
}

// numbered is a release.
type numbered struct {
	name    string
	number  int
	status  release.Status
	set     map[string]item
	tree    release.Tree
	built   time.Time
	by      string
	proven  bool   // was permanent once
	after   string // the release that it was upgraded from when it became permanent; "" if there was none
	served  bool   // its versions have written
	removed bool   // hidden; its number stays taken
	failed  string // why it was rolled back or aborted by itself; "" if it was not, or has done well since
	aborted bool   // it never got to serve when it failed
}

// underway is an upgrade that has not ended.
type underway struct {
	id       uint64
	from, to string
	by       string
	state    State
	plan     control.Plan
	changes  []change
	switched map[string]bool            // services that may have gone over before the commit
	until    time.Time                  // end of the probation
	before   map[string]control.Traffic // by service: the last minute of the old version
	crashes  map[string]int             // by service: of the new version, on probation
	last     time.Time                  // of the last record
}

func newRegistry() *registry { return &registry{rates: map[string]sample{}, seq: map[string]int64{}} }

// fold reads a whole journal.
func fold(records []record) (*registry, error) {
	r := newRegistry()
	for _, rec := range records {
		if err := r.apply(rec); err != nil {
			return nil, fmt.Errorf("journal record %d: %w", rec.Seq, err)
		}
	}
	return r, nil
}

// apply adds one record.
func (r *registry) apply(rec record) error {
	var err error
	switch rec.Kind {
	case Built:
		err = r.build(rec)
	case Booted:
		err = r.boot(rec)
	case Removed:
		err = r.remove(rec)
	case Dropped:
		err = r.summed(rec)
	default:
		err = r.advance(rec)
	}
	if err == nil {
		r.history = append(r.history, rec.Event)
	}
	return err
}

func (r *registry) build(rec record) error {
	if want := r.nextName(); rec.To != want {
		return fmt.Errorf("upgrades: release %q was built where %q comes next", rec.To, want)
	}
	r.releases = append(r.releases, &numbered{
		name: rec.To, number: len(r.releases) + 1, set: maps.Clone(rec.Set), tree: rec.Tree, built: rec.Time, by: rec.By,
	})
	return nil
}

func (r *registry) nextName() string { return nameOf(len(r.releases) + 1) }

func nameOf(number int) string { return "v" + strconv.Itoa(number) }

func (r *registry) boot(rec record) error {
	to := r.find(rec.To)
	if to == nil || r.serving != "" || r.upgrade != nil {
		return fmt.Errorf("upgrades: release %q cannot be the first one", rec.To)
	}
	if err := to.move(release.Install, release.MakePermanent); err != nil {
		return err
	}
	r.serving = to.name
	for service, it := range to.set {
		r.raise(service, it.Seq)
	}
	return nil
}

// remove hides a release; its number stays taken.
func (r *registry) remove(rec record) error {
	n := r.find(rec.To)
	if n == nil || n.name == r.serving || r.upgrade != nil {
		return fmt.Errorf("upgrades: release %q cannot be removed", rec.To)
	}
	n.removed = true
	return nil
}

// advance takes the upgrade under way to its next state.
func (r *registry) advance(rec record) error {
	u := r.upgrade
	if u == nil {
		u = &underway{}
	}
	state, err := u.state.after(rec.Kind)
	if err != nil {
		return err
	}
	if to := r.find(u.to); to != nil && state.Ended() && !rec.Asked {
		to.failed, to.aborted = rec.Reason, state == Aborted // no reason if it is permanent
		if !to.aborted {
			r.lost = nil
		}
		if !to.aborted && rec.Reason != "" {
			r.lost = &Failure{Release: to.name, Time: rec.Time, Reason: rec.Reason}
		}
	}
	if state == Planned {
		return r.plan(rec)
	}
	if state != u.state {
		if err := r.restate(u, state); err != nil {
			return err
		}
	}
	u.state, u.last = state, rec.Time
	r.note(u, rec)
	if state.Ended() {
		r.upgrade = nil
	}
	return nil
}

func (r *registry) plan(rec record) error {
	if r.find(rec.To) == nil || rec.Plan == nil {
		return fmt.Errorf("upgrades: release %q was planned but never built", rec.To)
	}
	r.upgrades++
	r.upgrade = &underway{
		id: rec.Upgrade, from: rec.From, to: rec.To, by: rec.By, state: Planned,
		plan: *rec.Plan, changes: rec.Changes, switched: map[string]bool{}, crashes: map[string]int{}, last: rec.Time,
	}
	return nil
}

// restate is what a new state of the upgrade means for its two releases.
func (r *registry) restate(u *underway, state State) error {
	to, from := r.find(u.to), r.find(u.from)
	switch state {
	case Committed:
		r.serving = u.to
		return to.move(release.Install)
	case RolledBack:
		r.serving = u.from
		return to.move(release.RollBack)
	case Permanent:
		for _, c := range u.changes {
			r.raise(c.Service, c.Seq)
		}
		if from != nil {
			if err := from.move(release.Supersede); err != nil {
				return err
			}
		}
		if from != nil && from.number < to.number {
			to.after = from.name
		}
		return to.move(release.MakePermanent)
	default:
		return nil
	}
}

// note keeps what later steps need of a record.
func (r *registry) note(u *underway, rec record) {
	switch rec.Kind {
	case string(Following):
		u.before = rec.Before
	case Restarted:
		u.crashes[rec.Service]++
	case Switched:
		u.switched[rec.Service] = true
	case string(Rehearsed):
		maps.Copy(r.rates, rec.Rehearsals)
	case string(Probation):
		if !u.plan.Hold {
			u.until = rec.Time.Add(seconds(u.plan.Probation))
		}
	}
}

// check tells whether apply would succeed, without applying.
func (r *registry) check(kind string) error {
	if kind == Built || kind == Booted || (kind == Removed && r.upgrade == nil) {
		return nil
	}
	var s State
	if r.upgrade != nil {
		s = r.upgrade.state
	}
	_, err := s.after(kind)
	return err
}

// find returns the release, or nil.
func (r *registry) find(name string) *numbered {
	for _, n := range r.releases {
		if n.name == name && !n.removed {
			return n
		}
	}
	return nil
}

// since is what the journal holds after the record of that number.
func (r *registry) since(seq uint64) []control.Event {
	end := len(r.history)
	for end > 0 && r.history[end-1].Seq == 0 { // owed
		end--
	}
	from, _ := slices.BinarySearchFunc(r.history[:end], seq+1, func(ev control.Event, n uint64) int {
		return cmp.Compare(ev.Seq, n)
	})
	return r.history[from:end]
}

// paid numbers the oldest event that the journal had refused.
func (r *registry) paid(seq uint64) {
	for i := range r.history {
		if r.history[i].Seq == 0 {
			r.history[i].Seq = seq
			return
		}
	}
}

// same returns the release of exactly this set and tree that an upgrade would lead to by itself, the newest one or the one that
// serves, or nil.
func (r *registry) same(set map[string]item, tree release.Tree) *numbered {
	newest, _ := r.newest()
	for _, n := range []*numbered{r.find(r.serving), newest} {
		if n != nil && n.tree == tree && maps.EqualFunc(n.set, set, item.same) {
			return n
		}
	}
	return nil
}

// set is what a release consists of; nothing for "".
func (r *registry) set(name string) map[string]item {
	if n := r.find(name); n != nil {
		return n.set
	}
	return nil
}

// tree says how the services of a release are supervised; by the root alone for "".
func (r *registry) tree(name string) release.Tree {
	if n := r.find(name); n != nil {
		return n.tree
	}
	return ""
}

// before is the release that the serving one followed, else the newest one below it that was permanent once, or nil.
func (r *registry) before() *numbered {
	now := r.find(r.serving)
	if now == nil {
		return nil
	}
	if n := r.find(now.after); n != nil {
		return n
	}
	for i := now.number - 2; i >= 0; i-- {
		if n := r.releases[i]; n.proven && !n.removed {
			return n
		}
	}
	return nil
}

// newest is the newest release above the serving one. If that has failed there is no good one: those below it were
// given up for it.
func (r *registry) newest() (good, failed *numbered) {
	for i := len(r.releases) - 1; i >= 0 && r.releases[i].name != r.serving; i-- {
		switch n := r.releases[i]; {
		case n.removed:
		case n.failed == "":
			return n, nil
		default:
			return nil, n
		}
	}
	return nil, nil
}

// move takes a release through its statuses.
func (n *numbered) move(actions ...release.Action) error {
	s := n.status
	for _, a := range actions {
		var err error
		if s, err = s.Next(a); err != nil {
			return fmt.Errorf("release %s: %w", n.name, err)
		}
	}
	n.status = s
	n.proven = n.proven || s == release.Permanent
	n.served = n.served || slices.Contains(actions, release.Install)
	return nil
}

// view is the release as people see it.
func (n *numbered) view() control.Release {
	services := make(map[string]string, len(n.set))
	for name, it := range n.set {
		services[name] = it.Version
	}
	return control.Release{Name: n.name, Status: n.status.String(), Services: services, Built: n.built, By: n.by, Failed: n.failed, Aborted: n.aborted && n.failed != ""}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
