package host

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/theseusd/theseus/upgrades"
	"github.com/theseusd/theseus/upgrades/release"
)

func TestFailedServiceIsTriedAgainAfterARest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(nil, "visits")
		s.serving, s.taken, s.state = upgrades.Gone(release.Package{Name: "visits"}), false, stateFailed
		s.recent = []time.Time{time.Now()}
		if s.watched() != nil {
			t.Fatal("it is watched although it failed")
		}
		began := time.Now()
		<-s.rested()
		s.afresh()
		if time.Since(began) != failedRest || s.watched() != s.serving || len(s.recent) != 0 {
			t.Errorf("after %s: state %q, %d recent restarts", time.Since(began), s.state, len(s.recent))
		}
	})
}

func TestTakenServiceIsLeftAloneThoughItFailed(t *testing.T) {
	s := newService(nil, "visits")
	s.serving, s.taken, s.state = upgrades.Gone(release.Package{Name: "visits"}), true, stateFailed
	if s.afresh(); s.rested() != nil || s.state != stateFailed {
		t.Errorf("state %q", s.state)
	}
}
