package host

import (
	"errors"
	"fmt"
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

func TestTakenPortSaysWhatToDo(t *testing.T) {
	s := newService(nil, "visits")
	taken := &upgrades.ListenError{Name: "http", Address: "127.0.0.1:80", Err: errors.New("address already in use")}
	s.note(stateFailed, fmt.Errorf("start visits 1.0.0: %w", taken))
	want := `start visits 1.0.0: listener "http" at 127.0.0.1:80: address already in use; free 127.0.0.1:80, or write ` +
		"another address into theseus.toml, as service.visits.listen.http, and: reltool build"
	if got := s.view().Reason; got != want {
		t.Errorf("got %q", got)
	}
}
