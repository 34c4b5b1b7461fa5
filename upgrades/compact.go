package upgrades

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/journal"
	"github.com/theseusd/theseus/upgrades/release"
)

// DefaultKeep is how many entries of the journal are kept at least: upgrades, each with all of its records, and releases
// that were built or removed. When there are twice as many the oldest go.
const DefaultKeep = 256

// summary is a registry without its history: what older records have led to, in the place of them. Every release is in
// it, since its number and what has served under its versions are never given again.
type summary struct {
	Releases []past            `json:"releases,omitempty"`
	Serving  string            `json:"serving,omitempty"`
	Upgrades uint64            `json:"upgrades,omitempty"`
	Rates    map[string]sample `json:"rates,omitempty"`
	Seq      map[string]int64  `json:"seq,omitempty"`
	Lost     *Failure          `json:"lost,omitempty"`
}

// past is a release in a summary; see numbered.
type past struct {
	Status  release.Status  `json:"status"`
	Set     map[string]item `json:"set,omitempty"`
	Tree    release.Tree    `json:"tree,omitempty"`
	Built   time.Time       `json:"built,omitzero"`
	By      string          `json:"by,omitempty"`
	Proven  bool            `json:"proven,omitempty"`
	After   string          `json:"after,omitempty"`
	Served  bool            `json:"served,omitempty"`
	Removed bool            `json:"removed,omitempty"`
	Failed  string          `json:"failed,omitempty"`
	Aborted bool            `json:"aborted,omitempty"`
}

// summary of a registry. Of releases that were removed only that matters which no later one of them tells as well.
func (r *registry) summary() summary {
	s := summary{Serving: r.serving, Upgrades: r.upgrades, Rates: r.rates, Seq: r.seq, Lost: r.lost}
	told := map[string]bool{}
	for _, n := range slices.Backward(r.releases) {
		p := past{
			Status: n.status, Set: n.set, Tree: n.tree, Built: n.built, By: n.by, Proven: n.proven, After: n.after, Served: n.served,
			Removed: n.removed, Failed: n.failed, Aborted: n.aborted,
		}
		if n.removed {
			p = past{Status: n.status, Set: n.untold(told), Proven: n.proven, Served: n.served, Removed: true}
		}
		s.Releases = append(s.Releases, p)
	}
	slices.Reverse(s.Releases)
	return s
}

// untold are the versions of a removed release, without their settings, that are not in told.
func (n *numbered) untold(told map[string]bool) map[string]item {
	set := map[string]item{}
	for service, it := range n.set {
		key := fmt.Sprint(service, " ", it.Version, " ", it.Digest, n.served)
		if !told[key] {
			told[key], set[service] = true, item{Version: it.Version, Digest: it.Digest}
		}
	}
	return set
}

// summed begins a registry with what older records have led to.
func (r *registry) summed(rec record) error {
	if rec.Summary == nil || len(r.history) > 0 {
		return errors.New("upgrades: a summary stands at the beginning of a journal, and nowhere else")
	}
	s := rec.Summary
	r.serving, r.upgrades, r.lost = s.Serving, s.Upgrades, s.Lost
	maps.Copy(r.rates, s.Rates)
	maps.Copy(r.seq, s.Seq)
	for i, p := range s.Releases {
		r.releases = append(r.releases, &numbered{
			name: nameOf(i + 1), number: i + 1, status: p.Status, set: p.Set, tree: p.Tree, built: p.Built, by: p.By, proven: p.Proven,
			after: p.After, served: p.Served, removed: p.Removed, failed: p.Failed, aborted: p.Aborted,
		})
	}
	return nil
}

// entries counts what the history consists of.
func (r *registry) entries() (n int) {
	for _, ev := range r.history {
		if isEntry(ev.Kind) {
			n++
		}
	}
	return n
}

// isEntry is true for the first record of an upgrade, and for those that belong to none.
func isEntry(kind string) bool {
	switch kind {
	case string(Planned), Built, Booted, Removed:
		return true
	}
	return false
}

// compact drops the oldest entries when there are too many, between two upgrades. The caller holds books.
func (e *Engine) compact() {
	j, ok := e.journal.(compacter)
	full := false
	e.read(func(r *registry) { full = r.upgrade == nil && r.entries() >= 2*e.keep })
	if !ok || !full || len(e.owed) > 0 {
		return
	}
	var short *registry
	err := j.Compact(func(all []journal.Record) (base []byte, from uint64, err error) {
		base, from, short, err = e.shorten(all)
		return base, from, err
	})
	if err != nil {
		e.log.Error("the journal stays as long as it is", "error", err)
		return
	}
	if short == nil {
		return
	}
	e.mu.Lock()
	e.reg = short
	e.mu.Unlock()
	e.log.Info("the oldest entries of the journal are gone", "kept", short.entries(), "records", len(short.history))
}

// compacter is a journal that can drop its oldest records; *journal.Journal is one.
type compacter interface {
	Compact(shorten func(all []journal.Record) (base []byte, from uint64, err error)) error
}

// shorten finds the record from which the journal goes on, and what stands for those before. It wants what is left to
// say exactly what all of it says.
func (e *Engine) shorten(all []journal.Record) (base []byte, from uint64, short *registry, err error) {
	records, err := decode(all)
	if err != nil {
		return nil, 0, nil, err
	}
	cut, err := cutOf(records, e.keep)
	if err != nil || cut == 0 {
		return nil, 0, nil, err
	}
	before, err := fold(records[:cut])
	if err != nil {
		return nil, 0, nil, err
	}
	s := before.summary()
	rec := record{Event: dropped(records[cut-1], before.upgrades), Summary: &s}
	if short, err = fold(append([]record{rec}, records[cut:]...)); err != nil {
		return nil, 0, nil, err
	}
	if err := e.alike(short); err != nil {
		return nil, 0, nil, err
	}
	base, err = json.Marshal(rec)
	return base, records[cut].Seq, short, err
}

// cutOf is where the newest entries begin, as many as are to be kept, or a little before: no upgrade is cut in two. 0 if
// nothing is before them.
func cutOf(records []record, keep int) (cut int, err error) {
	r := newRegistry()
	var places []int // where an entry begins, and no upgrade is under way
	left := 0
	for i, rec := range records {
		if isEntry(rec.Kind) {
			left++
			if r.upgrade == nil && i > 1 { // one record for another is no gain
				places = append(places, i)
			}
		}
		if err := r.apply(rec); err != nil {
			return 0, err
		}
	}
	for i, n := 0, 0; i < len(records); i++ {
		if left-n < keep {
			break
		}
		if slices.Contains(places, i) {
			cut = i
		}
		if isEntry(records[i].Kind) {
			n++
		}
	}
	return cut, nil
}

// dropped tells people that the history does not go back to its beginning. It takes the number of the last record that
// is gone.
func dropped(last record, upgrades uint64) control.Event {
	return control.Event{
		Kind: Dropped, Seq: last.Seq, Time: last.Time, Done: upgrades,
		Text: fmt.Sprintf("%s before this are kept no longer, of %s", plural(last.Seq, "record"), plural(upgrades, "upgrade")),
	}
}

// alike is nil if another registry says what the engine's own does.
func (e *Engine) alike(other *registry) error {
	var own summary
	e.read(func(r *registry) { own = r.summary() })
	a, err := json.Marshal(own)
	if err != nil {
		return err
	}
	b, err := json.Marshal(other.summary())
	if err != nil {
		return err
	}
	if !bytes.Equal(a, b) {
		return errors.New("what would be left of it does not say the same")
	}
	return nil
}
