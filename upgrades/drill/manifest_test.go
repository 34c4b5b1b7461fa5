package drill

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
		got := Manifest(text)
		m, err := appup.Parse(file, got)
		if err != nil {
			t.Fatalf("%v:\n%s", err, got)
		}
		if strings.Contains(string(got), `"10s"`) {
			t.Errorf("%s has its own probation:\n%s", file, got)
		}
		for _, up := range m.Up {
			if time.Duration(up.Probation) != time.Second {
				t.Errorf("%s: a probation of %v", file, up.Probation)
			}
		}
	}
}
