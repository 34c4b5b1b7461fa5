package fault

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestEveryPointSaysWhatItMeans(t *testing.T) {
	seen := map[string]bool{}
	for i, p := range Points {
		if p.Name == "" || p.Means == "" || seen[p.Name] {
			t.Errorf("point %d is %q, %q", i, p.Name, p.Means)
		}
		seen[p.Name] = true
	}
}

func TestParseRefusesWhatItDoesNotKnow(t *testing.T) {
	for text, want := range map[string]string{
		"service.parked":              "want point=",
		"service.parked=fall":         "want kill",
		"service.parked:0=kill":       "no count",
		"service.parcked=kill":        "there is no point",
		"service.parked=trace:":       "want kill",
		"daemon@service.arm=trace:/x": "there is no point",
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestAtIsOffWithoutTheVariable(t *testing.T) {
	t.Setenv(Env, "")
	if err := Enable("test"); err != nil || live.Load() != nil {
		t.Errorf("it is on: %v", err)
	}
	if n := testing.AllocsPerRun(100, func() { AtOne(RecordAfter, "committed") }); n > 0 {
		t.Errorf("a point that is off allocates %v times", n)
	}
}

// The second case is a process that is named, the third one that another has been killed before.
func TestAPlanKillsTheProcessAtTheNthTime(t *testing.T) {
	for _, c := range []struct {
		name, plan, fired string
		dies              bool
	}{
		{name: "here", plan: "service.parked:3=kill", dies: true},
		{name: "elsewhere", plan: "other@service.parked:3=kill"},
		{name: "after another", plan: "service.parked:3=kill", fired: "x"},
		{name: "too seldom", plan: "service.parked:4=kill"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			trace := filepath.Join(dir, "trace")
			write(t, filepath.Join(dir, "plan"), c.plan+",*=trace:"+trace+" # case")
			if c.fired != "" {
				write(t, filepath.Join(dir, "fired-case"), c.fired)
			}
			cmd := exec.Command(os.Args[0], "-test.run=^TestHelperReaches$")
			cmd.Env = append(os.Environ(), Env+"="+dir)
			err := cmd.Run()
			if got := signalOf(err) == syscall.SIGKILL; got != c.dies {
				t.Errorf("it died: %v (%v), want %v", got, err, c.dies)
			}
			text, _ := os.ReadFile(trace)
			if n := strings.Count(string(text), " service.parked\n"); n != 3 && !c.dies {
				t.Errorf("the trace has %d lines: %s", n, text)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func signalOf(err error) syscall.Signal {
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.Sys().(syscall.WaitStatus).Signal()
	}
	return -1
}

// TestHelperReaches is the process that the test above kills.
func TestHelperReaches(t *testing.T) {
	if !strings.HasPrefix(os.Getenv(Env), "/") {
		t.Skip("run by another test")
	}
	if err := Enable("test"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		At(Parked)
	}
}

func BenchmarkAtOff(b *testing.B) {
	for b.Loop() {
		At(CommitCopied)
	}
}
