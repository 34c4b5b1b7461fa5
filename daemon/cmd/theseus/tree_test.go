package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// planted has a daemon that answers with a tree.
func planted(t *testing.T) (dir string, root control.Node) {
	t.Helper()
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	now = func() time.Time { return at.Add(192 * time.Second) }
	t.Cleanup(func() { now = time.Now })
	n := func(n uint64) *uint64 { return &n }
	i := func(n int) *int { return &n }
	root = control.Node{Name: "root", Kind: "supervisor", State: "running", Strategy: "one_for_one", Started: at, Mailbox: n(0), Children: []control.Node{
		{Name: "backend", Kind: "supervisor", State: "running", Strategy: "one_for_all", Started: at, Recent: 1, Intensity: i(3), Period: 300, Mailbox: n(2), Children: []control.Node{
			{Name: "limits", Kind: "worker", State: "running", Version: "1.0.0", Started: at.Add(time.Second), Period: 300},
			{Name: "front", Kind: "supervisor", State: "restarting", Strategy: "rest_for_one", Intensity: i(0), Period: 5, Mailbox: n(0), Children: []control.Node{
				{Name: "chat", Kind: "worker", State: "restarting", Reason: "signal: killed", Version: "1.2.0-dev.1", Started: at, Recent: 4},
			}},
		}},
		{Name: "visits", Kind: "worker", State: "failed", Reason: "3 restarts within 5s did not help: exit status 3", Version: "2.0.0", Recent: 4, Intensity: i(3), Period: 5, Mailbox: n(7)},
	}}
	dir = empty(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/tree", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(root) })
	listen(t, dir, control.SocketName, mux)
	return dir, root
}

const planText = `NAME           STATE       VERSION      STRATEGY      RESTARTS   UPTIME  MAILBOX
root           running     -            one_for_one   0          3m12s   0
|- backend     running     -            one_for_all   1/3 in 5m  3m12s   2
|  |- limits   running     1.0.0        -             0          3m11s   -
|  ` + "`" + `- front    restarting  -            rest_for_one  0/0 in 5s  -       0
|     ` + "`" + `- chat  restarting  1.2.0-dev.1  -             4          -       -
` + "`" + `- visits      failed      2.0.0        -             4/3 in 5s  -       7
chat: signal: killed
visits: 3 restarts within 5s did not help: exit status 3
`

func TestTree(t *testing.T) {
	dir, root := planted(t)
	t.Setenv(control.EnvDir, dir)
	asJSON, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		argv     string
		code     int
		out, err string
	}{
		{"theseus tree", 0, planText, ""},
		{"theseus --dir " + dir + " tree", 0, planText, ""},
		{"theseus tree --dir=" + dir, 0, planText, ""},
		{"theseus tree --json", 0, string(asJSON) + "\n", ""},
		{"theseus tree --help", 0, treeHelp, ""},
		{"theseus tree --jsn", 2, "", "theseus: unknown flag --jsn\ntheseus: usage: theseus tree [--json] [--dir DIR]\n"},
		{"theseus tree visits", 2, "", "theseus: tree takes no argument \"visits\"\ntheseus: usage: theseus tree [--json] [--dir DIR]\n"},
	} {
		var out, errs strings.Builder
		code := run(t.Context(), strings.Fields(tc.argv), &out, &errs)
		if code != tc.code || out.String() != tc.out || errs.String() != tc.err {
			t.Errorf("%s: got %d\n%s\n%s\nwant %d\n%s\n%s", tc.argv, code, out.String(), errs.String(), tc.code, tc.out, tc.err)
		}
	}
}

func TestTreeOnATerminalIsDrawn(t *testing.T) {
	_, root := planted(t)
	var out strings.Builder
	c := &call{out: &out}
	c.showTree(root, true)
	for _, line := range []string{"├─ backend     running ", "│  ├─ limits   running ", "│  └─ front    restarting ", "│     └─ chat  restarting ", "└─ visits      failed "} {
		if !strings.Contains(out.String(), "\n"+line) {
			t.Errorf("no line %q in\n%s", line, out.String())
		}
	}
}

func TestTreeWithoutADaemon(t *testing.T) {
	var out, errs strings.Builder
	dir := empty(t)
	if code := run(t.Context(), []string{"theseus", "--dir", dir, "tree"}, &out, &errs); code != unreachable || out.Len() > 0 || errs.Len() == 0 {
		t.Error(code, fmt.Sprintf("%q %q", out.String(), errs.String()))
	}
}
