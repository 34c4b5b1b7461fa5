package upgrades

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/theseusd/theseus/upgrades/release"
)

// A disk that refuses the commit of an upgrade from which there is no way back has perhaps not got it: the old version
// serves on, so that either outcome finds rows that it can read.
func TestDiskRefusesTheCommitThatHasNoWayBack(t *testing.T) {
	for name, before := range map[string]func(*world) (first, second []release.Package){"one": one("2.0.0", oneWay), "two": twoOneWay} {
		for _, power := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				s := scenario{before: before}
				w := s.set(t)
				synced := false
				d, _, err := s.play(w, func(_ int, c string) act {
					if synced = synced || c == "journal sync"; synced && strings.HasPrefix(c, "journal") {
						return fail
					}
					return well
				})
				wantCode(t, err, "rolled_back", "journal")
				service := map[string]string{"one": "visits", "two": "cache"}[name]
				if p := w.serving(service); p == nil || p.pkg.Version != "1.0.0" {
					t.Errorf("%s: %v serves\n%s", name, p, w.story())
				}
				d.end()
				if power {
					w.powerFails()
				}
				d = rest(w)
				defer d.end()
				if f := w.faults(d.e); len(f) > 0 {
					t.Errorf("%s, power %v: %s\n%s", name, power, strings.Join(f, "\n"), w.story())
				}
			})
		}
	}
}
