package sdk

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk/state"
)

// A version whose log takes no writes any more is unhealthy whatever its own checks say: in a probation it goes back.
func TestAVersionThatCanWriteNothingIsUnhealthy(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	l, err := StartLocal(t.Context(), Service{Name: "keeping", Version: "1.0.0", Setup: func(s *Setup) error {
		rows := state.NewTable(s, "rows", state.Schema[countV1]{Name: "count", Version: 1}, state.Durable)
		s.Verb(Verb{Name: "put", Short: "Write", Run: func(context.Context, []string) (string, error) {
			return "", rows.Put("a", countV1{})
		}})
		return nil
	}}, LocalOptions{StateDir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Health(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir, dir+"-gone"); err != nil {
		t.Fatal(err)
	}
	_, lost := l.Verb(t.Context(), "put")
	if err := os.Rename(dir+"-gone", dir); err != nil {
		t.Fatal(err)
	}
	if lost == nil {
		t.Fatal("a write that did not reach the disk was acknowledged")
	}
	if err := l.Health(t.Context()); err == nil || !strings.Contains(err.Error(), "a sync failed") {
		t.Errorf("health: %v", err)
	}
}
