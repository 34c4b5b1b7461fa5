package sdk

import (
	"errors"
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk/state"
)

// What a service does before it serves may write, and a service that cannot do it does not serve.
func TestReadyComesBeforeServing(t *testing.T) {
	broken := errors.New("the shelves are empty")
	var found int
	service := func(ready error) Service {
		return Service{Name: "shop", Version: "1.0.0", Setup: func(s *Setup) error {
			rows := state.NewTable(s, "rows", state.Schema[int]{Name: "row"})
			s.Ready(func() error {
				found = rows.Len()
				return errors.Join(rows.Put("a", 1), ready)
			})
			return nil
		}}
	}
	dir := t.TempDir()
	l, err := StartLocal(t.Context(), service(nil), LocalOptions{StateDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := StartLocal(t.Context(), service(broken), LocalOptions{StateDir: dir}); err == nil || !strings.Contains(err.Error(), broken.Error()) {
		t.Errorf("got %v, want %v", err, broken)
	}
	if found != 1 {
		t.Errorf("it found %d rows of the time before, want 1", found)
	}
}
