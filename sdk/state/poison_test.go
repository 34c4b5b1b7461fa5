package state

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// TestAFailedSyncPoisonsTheStore: nobody can know what is on disk, so no write of any table is
// acknowledged any more, the store says why, and what was acknowledged before is there for the next process.
func TestAFailedSyncPoisonsTheStore(t *testing.T) {
	dir := t.TempDir() + "/log"
	s := open(t, dir, Options{})
	safe := NewTable(s, "safe", Schema[[]byte]{Name: "blob"}, Durable)
	loose := NewTable(s, "loose", Schema[[]byte]{Name: "blob"})
	activate(t, s)
	must(0, safe.Put("a", []byte("1")))
	must(0, s.Release())
	must(s.Activate(noContext, nil)) // a segment whose name is not on disk yet
	if err := s.Broken(); err != nil {
		t.Fatalf("broken from the start: %v", err)
	}
	must(0, os.Rename(dir, dir+"-gone"))
	lost := safe.Put("a", []byte("2"))
	must(0, os.Rename(dir+"-gone", dir))
	if lost == nil || errors.Is(lost, ErrNoSpace) {
		t.Fatalf("a write that did not reach the disk: %v", lost)
	}
	for name, err := range map[string]error{"safe": safe.Put("b", nil), "loose": loose.Put("b", nil), "said": s.Broken()} {
		if err == nil || !strings.Contains(err.Error(), "a sync failed") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if st := s.Stats(); !strings.Contains(st.Unready, "a sync failed") {
		t.Errorf("unready: %q", st.Unready)
	}
	next := open(t, dir, Options{})
	rows := NewTable(next, "safe", Schema[[]byte]{Name: "blob"}, Durable)
	activate(t, next)
	if v, ok := rows.Get("a"); !ok || v == nil {
		t.Errorf("the row is %q, %v", v, ok)
	}
}
