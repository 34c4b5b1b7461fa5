package upgrades

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/journal"
	"github.com/theseusd/theseus/upgrades/release"
)

// chronicle draws a journal that could be.
type chronicle struct {
	t       *rapid.T
	r       *registry
	records []record
}

func (c *chronicle) add(rec record) {
	rec.Seq, rec.Time = uint64(len(c.records)+1), time.Unix(int64(len(c.records)), 0).UTC()
	if c.r.apply(rec) == nil {
		c.records = append(c.records, rec)
	}
}

func (c *chronicle) name(of string) string {
	return nameOf(rapid.IntRange(1, max(len(c.r.releases), 1)).Draw(c.t, of))
}

func (c *chronicle) build() {
	set := map[string]item{}
	for _, service := range []string{"cache", "visits"} {
		v := rapid.IntRange(0, 4).Draw(c.t, service)
		if v > 0 {
			set[service] = item{Version: fmt.Sprintf("1.%d.0", v), Digest: fmt.Sprint("d", v), Seq: int64(v), Settings: "{}"}
		}
	}
	c.add(record{Event: control.Event{Kind: Built, To: c.r.nextName(), By: "ada"}, Set: set})
}

// upgrade goes through the states that it may, at random, to one of its ends.
func (c *chronicle) upgrade() {
	to := c.name("to")
	n := c.r.find(to)
	if n == nil || to == c.r.serving || c.r.serving == "" {
		return
	}
	changes := []change{{Service: "visits", Seq: n.set["visits"].Seq}}
	ev := control.Event{Kind: string(Planned), Upgrade: c.r.upgrades + 1, From: c.r.serving, To: to}
	c.add(record{Event: ev, Plan: &control.Plan{}, Changes: changes})
	for c.r.upgrade != nil {
		ev.Kind = rapid.SampledFrom(kindsAfter(c.r.upgrade.state)).Draw(c.t, "kind")
		ev.Service, ev.Reason = "visits", rapid.SampledFrom([]string{"", "sick"}).Draw(c.t, "reason")
		rec := record{Event: ev, Asked: rapid.Bool().Draw(c.t, "asked")}
		if ev.Kind == string(Rehearsed) {
			rec.Rehearsals = map[string]sample{"visits": {Rows: uint64(len(c.records)), Seconds: 1}}
		}
		c.add(rec)
	}
}

func kindsAfter(s State) []string {
	var kinds []string
	for kind := range next[s] {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return kinds
}

func written(t interface {
	Helper()
	Fatal(...any)
}, records []record,
) []journal.Record {
	t.Helper()
	var list []journal.Record
	for _, rec := range records {
		text, err := json.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, journal.Record{Seq: rec.Seq, Payload: text, Base: rec.Kind == Dropped})
	}
	return list
}

// wantSame compares all that decisions are made from.
func wantSame(t *rapid.T, a, b *registry) {
	t.Helper()
	for _, r := range []*registry{a, b} {
		if r.upgrade != nil {
			t.Fatal("an upgrade is under way")
		}
	}
	pairs := [][2]any{
		{a.serving, b.serving},
		{a.upgrades, b.upgrades},
		{a.rates, b.rates},
		{a.seq, b.seq},
		{a.lost, b.lost},
		{len(a.releases), len(b.releases)},
		{a.versions(), b.versions()},
		{a.before(), b.before()},
		{a.nextName(), b.nextName()},
	}
	for i, n := range a.releases {
		if m := b.releases[i]; n.removed {
			pairs = append(pairs, [2]any{[]any{n.name, n.number, n.served, true}, []any{m.name, m.number, m.served, m.removed}})
		} else {
			pairs = append(pairs, [2]any{n, m})
		}
	}
	for _, p := range pairs {
		if was, is := fmt.Sprintf("%+v", p[0]), fmt.Sprintf("%+v", p[1]); was != is {
			t.Fatalf("%s is left of %s", is, was)
		}
	}
}

// versions are those that any release has had, and whether they have served and were removed.
func (r *registry) versions() map[string]bool {
	all := map[string]bool{}
	for _, n := range r.releases {
		for service, it := range n.set {
			all[fmt.Sprint(service, it.Version, it.Digest, n.served, n.removed)] = true
		}
	}
	return all
}

// Whatever a journal holds, and wherever it is shortened, and again later: what is left leads to the same releases, the
// same one that serves, the same numbers, and says as much of the newest entries.
func TestAShortenedJournalSaysTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &chronicle{t: t, r: newRegistry()}
		c.build()
		c.add(record{Event: control.Event{Kind: Booted, To: "v1"}})
		keep := rapid.IntRange(1, 4).Draw(t, "keep")
		short := written(t, c.records)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			had := len(c.records)
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				c.build()
			case 1:
				c.add(record{Event: control.Event{Kind: Removed, To: c.name("removed")}})
			default:
				c.upgrade()
			}
			short = append(short, written(t, c.records[had:])...)
			e := &Engine{keep: keep, reg: c.r}
			base, from, now, err := e.shorten(short) // which compares the two
			if err != nil {
				t.Fatal(err)
			}
			if from == 0 {
				continue
			}
			wantSame(t, c.r, now)
			if entries := now.entries(); entries < keep {
				t.Fatalf("%d entries are kept, want %d", entries, keep)
			}
			first := short[0].Seq
			short = append([]journal.Record{{Seq: from - 1, Payload: base, Base: true}}, short[from-first:]...)
		}
		if _, err := New(Options{Records: short}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestJournalOfAnInstanceDoesNotGrowForEver(t *testing.T) {
	const keep = 3
	path := filepath.Join(t.TempDir(), "journal")
	w := newWorld(t)
	d := &daemon{w: w}
	open := func() (*Engine, *journal.Journal) {
		j, records, err := journal.Open(path)
		must(t, err)
		e, err := New(Options{Host: d, Journal: j, Records: records, Store: w, Keep: keep})
		must(t, err)
		d.e = e
		return e, j
	}
	e, j := open()
	mustBuild(t, e, []release.Package{w.pack("visits", "1.0.0", "")})
	must(t, e.Boot(t.Context()))
	mustBuild(t, e, []release.Package{w.pack("visits", "2.0.0", upFrom1)})
	_, err := e.Remove(t.Context(), control.RemoveRequest{Release: "v2"})
	must(t, err)
	most := 0
	for range 12 {
		b := mustBuild(t, e, []release.Package{w.pack("visits", "2.0.1", upFrom1)})
		_, err := e.Remove(t.Context(), control.RemoveRequest{Release: b.To})
		must(t, err)
		most = max(most, len(e.Since(0)))
	}
	if most > 2*keep {
		t.Errorf("the history has grown to %d lines", most)
	}
	first := e.Since(0)[0]
	if first.Kind != Dropped || first.Seq < 20 {
		t.Errorf("the history begins with %+v", first)
	}
	before, list := e.Since(0), fmt.Sprint(e.Releases())
	e.Close()
	must(t, j.Close())
	e, j = open()
	defer j.Close()
	defer e.Close()
	if got := e.Since(0); len(got) != len(before) || got[0].Text != first.Text || fmt.Sprint(e.Releases()) != list {
		t.Errorf("another daemon reads %v and %v, want %v and %v", got, e.Releases(), before, list)
	}
	b := mustBuild(t, e, []release.Package{w.pack("visits", "2.0.2", upFrom1)})
	if want := nameOf(len(e.reg.releases)); b.To != want || e.Removed("visits", "2.0.0") != true {
		t.Errorf("the next release is %s, want %s; 2.0.0 was removed: %v", b.To, want, e.Removed("visits", "2.0.0"))
	}
}
