package upgrades

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/theseusd/theseus/upgrades/release"
)

// inStore lists the versions of visits that the store has.
func (w *world) inStore() string {
	var list []string
	for p := range maps.Values(w.store) {
		if p.Name == "visits" {
			list = append(list, p.Version)
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// A crash between the taking in of packages and the record of their release leaves them in the store.
func TestPackagesOfABuildThatACrashHasCutShortAreSwept(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		w.pack("visits", "3.0.0", upFrom1)
		runs := w.pack("visits", "4.0.0", upFrom1)
		w.with(func() {
			w.ground("visits").taken = true
			if _, err := w.spawn(runs); err != nil {
				t.Error(err)
			}
		})
		d.e.Sweep()
		if got, want := w.inStore(), "1.0.0 2.0.0 4.0.0"; got != want {
			t.Errorf("the store has %s, want %s", got, want)
		}
	})
}

func TestNothingIsSweptWhereThereIsNoRelease(t *testing.T) {
	w := newWorld(t)
	d := &daemon{w: w}
	var err error
	d.e, err = New(Options{Host: d, Journal: ledger{d}, Store: w})
	must(t, err)
	w.pack("visits", "1.0.0", "")
	d.e.Sweep()
	if got := w.inStore(); got != "1.0.0" {
		t.Errorf("the store has %q: the journal was taken away, not the packages", got)
	}
	mustBuild(t, d.e, []release.Package{w.pack("visits", "2.0.0", "")})
	d.e.Sweep()
	if got := w.inStore(); got != "2.0.0" {
		t.Errorf("the store has %q, want what v1 has", got)
	}
}
