package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestUnitSaysWhatTheKeelCounts(t *testing.T) {
	text, err := os.ReadFile("theseusd.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Type=notify\n", "NotifyAccess=main\n", "KillMode=process\n", "ExecStopPost=/usr/bin/theseusd reap --dir /var/lib/theseus\n",
		"WatchdogSec=", "RestartPreventExitStatus=78\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("there is no %q", want)
		}
	}
}

// The unit is what systemd takes; its programs are put where this test may.
func TestUnitIsValid(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze here")
	}
	text, err := os.ReadFile("theseusd.service")
	if err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "theseusd.service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), "/usr/bin/theseusd", program)), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", "--man=no", "--recursive-errors=no", unit).CombinedOutput()
	if err != nil || strings.Contains(string(out), "theseusd.service:") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
