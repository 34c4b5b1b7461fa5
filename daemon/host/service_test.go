package host

import (
	"errors"
	"fmt"
	"testing"

	"github.com/theseusd/theseus/upgrades"
)

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
