package drill

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/theseusd/theseus/upgrades/appup"
)

func TestManifest(t *testing.T) {
	files, err := filepath.Glob("../../plugins/visits/*/appup.toml")
	if err != nil || len(files) < 3 {
		t.Fatalf("manifests of visits: %q, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got := Manifest(text, true)
		m, err := appup.Parse(file, got)
		if err != nil {
			t.Fatalf("%v:\n%s", err, got)
		}
		if len(m.Listen) != 1 || m.Listen[0].Address != "127.0.0.1:0" {
			t.Errorf("%s listens on %+v", file, m.Listen)
		}
		if strings.Contains(string(got), `"10s"`) {
			t.Errorf("%s has its own probation:\n%s", file, got)
		}
		if calm := string(Manifest(text, false)); strings.Contains(string(text), `"10s"`) != strings.Contains(calm, `"10s"`) {
			t.Errorf("%s lost its probation without hurry", file)
		}
	}
}
