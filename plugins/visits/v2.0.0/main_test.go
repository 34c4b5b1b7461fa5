package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/sdktest"
	"github.com/theseusd/theseus/sdk/state"
)

func TestLastSeen(t *testing.T) {
	s := sdktest.Start(t, sdk.Service{Name: "visits", Version: "2.0.0", Setup: setup}, sdktest.Options{})
	before := time.Now().Truncate(time.Second)
	res, err := http.Post("http://"+s.Addr("http")+"/visits/ada", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var row map[string]any
	if err := json.NewDecoder(res.Body).Decode(&row); err != nil {
		t.Fatal(err)
	}
	seen, err := time.Parse(time.RFC3339, row["last_seen"].(string))
	if err != nil || seen.Before(before) || seen.After(time.Now()) {
		t.Errorf("last seen at %v: %v", row["last_seen"], err)
	}
	if row["user"] != "ada" || row["count"] != 1.0 || len(row) != 3 {
		t.Errorf("answered %v", row)
	}
	if got, want := s.Verb("get", "ada"), "user=ada count=1 last_seen="+seen.Format(time.RFC3339); got != want {
		t.Errorf("get ada: %q, want %q", got, want)
	}
}

func TestDescribe(t *testing.T) {
	d, err := sdk.Describe(sdk.Service{Name: "visits", Version: "2.0.0", Setup: setup})
	if err != nil {
		t.Fatal(err)
	}
	table, ok := d.Table("visits")
	if !ok || table.Version != 2 || len(table.Steps) != 1 || table.Steps[0].From != 1 {
		t.Errorf("the table of rows: %+v", table)
	}
	if !strings.Contains(table.Shape, "last_seen") {
		t.Errorf("shape %s", table.Shape)
	}
}

// A row that 1.0.0 wrote is read with the default, and is written whole.
func TestRowOfVersion1(t *testing.T) {
	type old struct {
		Count int64 `json:"count"`
	}
	v1 := sdktest.Start(t, sdk.Service{Name: "visits", Version: "1.0.0", Setup: func(s *sdk.Setup) error {
		rows := state.NewTable(s, "visits", state.Schema[old]{Name: "visit", Version: 1})
		s.Verb(sdk.Verb{Name: "put", Args: "USER", Run: func(_ context.Context, args []string) (string, error) {
			return "", rows.Put(args[0], old{Count: 41})
		}})
		return nil
	}}, sdktest.Options{})
	v1.Verb("put", "ada")
	v1.Stop()
	v2 := sdktest.Start(t, sdk.Service{Name: "visits", Version: "2.0.0", Setup: setup}, sdktest.Options{StateDir: v1.StateDir()})
	if got, want := v2.Verb("get", "ada"), "user=ada count=41 last_seen=1970-01-01T00:00:00Z"; got != want {
		t.Errorf("get ada: %q, want %q", got, want)
	}
	if got := v2.Verb("hit", "ada"); !strings.HasPrefix(got, "user=ada count=42 last_seen=20") {
		t.Errorf("hit ada: %q", got)
	}
}
