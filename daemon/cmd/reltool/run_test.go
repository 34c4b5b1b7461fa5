package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk/control"
)

// fake is a daemon that answers as it is told and keeps what it was sent.
type fake struct {
	answers map[string]string // "GET /v1/status": body; a body that begins with ! is an error
	sent    map[string]string
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := r.Method + " " + r.URL.Path
	body, _ := io.ReadAll(r.Body)
	f.sent[key] = strings.TrimSpace(string(body))
	answer := f.answers[key]
	if text, failed := strings.CutPrefix(answer, "!"); failed {
		w.WriteHeader(http.StatusUnprocessableEntity)
		answer = text
	}
	fmt.Fprint(w, answer)
}

// serve makes an instance of which THESEUS_DIR is the directory.
func serve(t *testing.T, answers map[string]string) *fake {
	t.Helper()
	dir, err := os.MkdirTemp("", "th")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.MkdirAll(control.RunDir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", filepath.Join(control.RunDir(dir), control.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{answers: answers, sent: map[string]string{}}
	srv := &http.Server{Handler: f}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	t.Setenv(control.EnvDir, dir)
	return f
}

func reltool(ctx context.Context, line string) (code int, out, errs string) {
	var o, e strings.Builder
	code = run(ctx, strings.Fields(line), screen{Writer: &o, width: 80}, &e)
	return code, o.String(), e.String()
}

const planJSON = `{"from":"v1","to":"v2","digest":"d","steps":[]}`

func TestApplyDoesThePlanItHasSeen(t *testing.T) {
	f := serve(t, map[string]string{
		"POST /v1/plan":    planJSON,
		"POST /v1/upgrade": `{"kind":"planned","seq":1}` + "\n" + `{"kind":"end","last":true}`,
	})
	code, out, errs := reltool(t.Context(), "upgrade v2 --apply")
	if code != 0 || errs != "" {
		t.Fatalf("got %d %q %q", code, out, errs)
	}
	if want := "upgrade v1 -> v2\n  planned\nupgrade applied\nstate migrated: ok\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
	if f.sent["POST /v1/upgrade"] != `{"to":"v2","digest":"d","by":""}` {
		t.Errorf("sent %s", f.sent["POST /v1/upgrade"])
	}
}

func TestWithoutApplyNothingIsAsked(t *testing.T) {
	f := serve(t, map[string]string{"POST /v1/plan": planJSON})
	code, out, _ := reltool(t.Context(), "upgrade")
	if code != 0 || !strings.HasSuffix(out, "nothing was changed; apply it with: reltool upgrade --apply\n") {
		t.Errorf("got %d %q", code, out)
	}
	if _, asked := f.sent["POST /v1/upgrade"]; asked {
		t.Error("it was applied")
	}
}

func TestFailureSaysWhatRunsAndWhatToDo(t *testing.T) {
	serve(t, map[string]string{
		"POST /v1/plan": planJSON,
		"POST /v1/upgrade": `{"kind":"end","last":true,"error":{"code":"rolled_back","error":"visits is unhealthy",` +
			`"running":"v1: visits 1.0.0","hint":"see: reltool history"}}`,
	})
	code, out, errs := reltool(t.Context(), "upgrade --apply")
	want := "reltool: visits is unhealthy\nrunning now: v1: visits 1.0.0\nsee: reltool history\n"
	if code != 1 || errs != want || strings.Contains(out, "applied") {
		t.Errorf("got %d %q %q, want %q", code, out, errs, want)
	}
}

func TestCodeOfAHintCanBeCopied(t *testing.T) {
	serve(t, map[string]string{"POST /v1/plan": `!{"code":"uncovered","error":"no Step","hint":"a {\n\tb\n}"}`})
	if code, _, errs := reltool(t.Context(), "upgrade"); code != 1 || errs != "reltool: no Step\n\na {\n\tb\n}\n\n" {
		t.Errorf("got %d %q", code, errs)
	}
}

func TestDaemonThatGoesAwayMeanwhile(t *testing.T) {
	serve(t, map[string]string{"POST /v1/rollback": `{"kind":"rolling_back","seq":1}` + "\n"})
	code, _, errs := reltool(t.Context(), "rollback")
	if code != 1 || !strings.Contains(errs, "the daemon resolves the rollback when it is back: reltool status") {
		t.Errorf("got %d %q", code, errs)
	}
}

func TestRollback(t *testing.T) {
	answers := map[string]string{"POST /v1/rollback": `{"kind":"rolled_back","seq":9}` + "\n" + `{"kind":"end","last":true}`}
	serve(t, answers)
	if code, out, _ := reltool(t.Context(), "rollback"); code != 0 || !strings.HasSuffix(out, "\nrollback complete\n") {
		t.Errorf("got %d %q", code, out)
	}
	answers["POST /v1/plan"] = `{"from":"v2","to":"v1","path":["v2","v1"],"down":true,"steps":[{"name":"switch","text":"back"}]}`
	if code, out, _ := reltool(t.Context(), "rollback"); code != 0 || !strings.HasPrefix(out, "downgrade v2 -> v1\n") || !strings.HasSuffix(out, "\nrollback complete\n") {
		t.Errorf("got %d %q", code, out)
	}
	delete(answers, "POST /v1/rollback")
	if code, out, _ := reltool(t.Context(), "rollback v1 --plan"); code != 0 || !strings.HasSuffix(out, "nothing was changed; apply it with: reltool rollback v1\n") {
		t.Errorf("got %d %q", code, out)
	}
}

func TestHoldAsksForTheSameTwiceAndSaysWhatNow(t *testing.T) {
	f := serve(t, map[string]string{
		"POST /v1/plan":    `{"from":"v1","to":"v2","digest":"d","steps":[],"hold":true}`,
		"POST /v1/upgrade": `{"kind":"probation","seq":1}` + "\n" + `{"kind":"end","last":true}`,
	})
	code, out, _ := reltool(t.Context(), "upgrade --apply --hold")
	if code != 0 || !strings.HasSuffix(out, "\nv2 is held: reltool commit, or reltool rollback\n") {
		t.Errorf("got %d %q", code, out)
	}
	if f.sent["POST /v1/plan"] != `{"to":"","hold":true}` || f.sent["POST /v1/upgrade"] != `{"to":"v2","digest":"d","by":"","hold":true}` {
		t.Errorf("sent %v", f.sent)
	}
	if _, out, _ = reltool(t.Context(), "upgrade --hold"); !strings.HasSuffix(out, "apply it with: reltool upgrade --apply --hold\n") {
		t.Errorf("got %q", out)
	}
}

func TestCommit(t *testing.T) {
	serve(t, map[string]string{"POST /v1/commit": `{"kind":"permanent","seq":9}` + "\n" + `{"kind":"end","last":true}`})
	if code, out, _ := reltool(t.Context(), "commit"); code != 0 || !strings.HasSuffix(out, "\ncommit complete\n") {
		t.Errorf("got %d %q", code, out)
	}
	serve(t, map[string]string{"POST /v1/commit": `!{"code":"no_probation","error":"v2 is permanent"}`})
	if code, _, errs := reltool(t.Context(), "commit"); code != 1 || errs != "reltool: v2 is permanent\n" {
		t.Errorf("got %d %q", code, errs)
	}
}

func TestJSON(t *testing.T) {
	serve(t, map[string]string{
		"GET /v1/status":    `{"release":"v2","services":[]}`,
		"GET /v1/releases":  `[{"name":"v1"}]`,
		"GET /v1/history":   `[{"kind":"built"}]`,
		"POST /v1/plan":     planJSON,
		"POST /v1/upgrade":  `{"kind":"planned","seq":1}` + "\n" + `{"kind":"end","last":true}`,
		"POST /v1/commit":   `{"kind":"end","last":true}`,
		"POST /v1/rollback": `{"kind":"end","last":true}`,
	})
	for _, line := range []string{"status", "releases", "history", "upgrade", "upgrade --apply", "commit", "rollback"} {
		code, out, errs := reltool(t.Context(), line+" --json")
		d := json.NewDecoder(strings.NewReader(out))
		for d.More() {
			var v any
			if err := d.Decode(&v); err != nil {
				t.Fatalf("%s: %v in %q", line, err, out)
			}
		}
		if code != 0 || errs != "" || out == "" {
			t.Errorf("%s: got %d %q %q", line, code, out, errs)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for _, tc := range []struct {
		line string
		code int
		err  string
	}{
		{"status", 3, "start it with: theseusd --dir"},
		{"build", 3, "no daemon is running in"},
		{"upgrade --apply", 3, "no daemon is running in"},
		{"fly", 2, `unknown command "fly"`},
		{"--json fly", 2, `{"code":"usage","error":"unknown command \"fly\" for \"reltool\""`},
		{"upgrade --fast --json", 2, `{"code":"usage","error":"unknown flag: --fast"`},
		{"status now", 2, "usage: reltool status [flags]; see: reltool status --help"},
		{"commit v2", 2, "see: reltool commit --help"},
		{"dev", 2, "usage: reltool dev "},
		{"dev", 2, "see: reltool dev --help"},
		{"daemon", 2, "say what to do: rollback, status, upgrade"},
		{"daemon upgrade", 2, "usage: reltool daemon upgrade PATH [flags]; see: reltool daemon upgrade --help"},
		{"upgrade --aply", 2, "did you mean --apply? see: reltool upgrade --help"},
		{"trust remove FFFF", 2, `"FFFF" is no id of a key`},
		{"appup hello", 1, "give the folder as a path"},

		{"upgrade --apply --hold --no-probation", 2, "exclude each other"},
		{"upgrade --fast", 2, "unknown flag: --fast"},
		{"history --last x", 2, "reltool: --last x: want a whole number from 0\nsee: reltool history --help\n"},
		{"history --last -3", 2, "--last -3: want a whole number from 0"},
		{"history --upgrade x", 2, "--upgrade x: want a whole number from 0"},
		{"history --json=perhaps", 2, "--json perhaps: want true or false"},
		{"drill --rows 1,x", 2, "--rows 1,x: want whole numbers with commas between them"},
		{"build --out x chat chat", 2, "chat is asked for twice"},
		{"build --out x --remove chat", 2, "do one of both"},
		{"build --out x ./nowhere", 1, "there is no appup.toml in ./nowhere"},
		{"--help", 0, ""},
		{"completion bash", 0, ""},
	} {
		t.Run(tc.line, func(t *testing.T) {
			t.Chdir(t.TempDir())
			t.Setenv(control.EnvDir, t.TempDir())
			code, _, errs := reltool(t.Context(), tc.line)
			if code != tc.code || !strings.Contains(errs, tc.err) || (tc.err == "" && errs != "") {
				t.Errorf("got %d %q", code, errs)
			}
		})
	}
}

// A service that is not there had a history without a line.
func TestTheHistoryOfAServiceThatIsNotThere(t *testing.T) {
	serve(t, map[string]string{
		"GET /v1/history": `[{"kind":"planned","upgrade":1,"services":["cache","visits"]},{"kind":"crashed","service":"chat"}]`,
		"GET /v1/status":  `{"services":[{"name":"breaker"}]}`,
	})
	for _, line := range []string{"history --service vists", "history --service vists --follow", "history 1 --service vists"} {
		code, out, errs := reltool(t.Context(), line)
		if want := "reltool: the history has no service \"vists\"\nthere are: breaker, cache, chat, visits\n"; code != 1 || out != "" || errs != want {
			t.Errorf("%s: got %d %q %q", line, code, out, errs)
		}
	}
	for _, name := range []string{"cache", "chat", "breaker"} {
		if code, _, errs := reltool(t.Context(), "history --service "+name); code != 0 || errs != "" {
			t.Errorf("%s: got %d %q", name, code, errs)
		}
	}
}

func TestNothingToBuild(t *testing.T) {
	checkout(t, tree...)
	serve(t, map[string]string{
		"GET /v1/status":    `{"release":"v3","services":[{"name":"visits","version":"2.0.0"},{"name":"cache","version":"1.2.0"}]}`,
		"POST /v1/releases": `{"from":"v3","to":"v3","changes":null}`,
	})
	code, out, errs := reltool(t.Context(), "build")
	if code != 0 || out != "nothing to build: no source here has a higher version than what runs (v3)\n" || errs != "" {
		t.Errorf("got %d %q %q", code, out, errs)
	}
}

// Who raises the version only in main.go is told where it is taken from.
func TestVersionRaisedOnlyInTheCode(t *testing.T) {
	checkout(t, tree...)
	code := "package main\n\nfunc main() { sdk.Main(sdk.Service{Name: \"cache\", Version: \"%s\", Setup: setup}) }\n"
	serve(t, map[string]string{
		"GET /v1/status":    `{"release":"v3","services":[{"name":"visits","version":"2.0.0"},{"name":"cache","version":"1.2.0"}]}`,
		"POST /v1/releases": `{"from":"v3","to":"v3","changes":null}`,
	})
	for version, want := range map[string]string{
		"1.2.0": "",
		"1.3.0": "reltool: warning: plugins/cache/main.go has version 1.3.0, and plugins/cache/appup.toml has 1.2.0: " +
			"the version is taken from appup.toml, raise it there too\n",
	} {
		if err := os.WriteFile("plugins/cache/main.go", fmt.Appendf(nil, code, version), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, _, errs := reltool(t.Context(), "build cache"); got != 0 || errs != want {
			t.Errorf("%s: got %d %q", version, got, errs)
		}
		if got, _, errs := reltool(t.Context(), "build visits"); got != 0 || errs != "" {
			t.Errorf("%s: got %d %q for another service", version, got, errs)
		}
	}
}

// What is in theseus.toml, and what is to go, is built from anywhere.
func TestBuildWithoutSources(t *testing.T) {
	t.Chdir(t.TempDir())
	answers := map[string]string{
		"GET /v1/status":    `{"release":"v3","services":[{"name":"visits","version":"2.0.0"},{"name":"cache","version":"1.2.0"}]}`,
		"POST /v1/releases": `{"from":"v3","to":"v3","changes":null}`,
	}
	serve(t, answers)
	if code, _, errs := reltool(t.Context(), "build"); code != 1 || !strings.Contains(errs, "there are no sources here: no plugins/") {
		t.Errorf("got %d %q", code, errs)
	}
	answers["POST /v1/releases"] = `{"from":"v3","to":"v4","new":true,"warnings":["theseus.toml:1:9: there is no service x"],
		"changes":[{"service":"visits","from":"2.0.0","to":"2.0.0","detail":["config changed: language"]},{"service":"cache","from":"1.2.0","to":""}]}`
	code, out, errs := reltool(t.Context(), "build --remove cache")
	want := "release built: v3 -> v4\n  visits 2.0.0        config changed: language\n  cache 1.2.0 (goes)\n"
	if code != 0 || out != want || errs != "reltool: warning: theseus.toml:1:9: there is no service x\n" {
		t.Errorf("got %d %q %q", code, out, errs)
	}
}

func TestCompletionOffersReleases(t *testing.T) {
	serve(t, map[string]string{"GET /v1/releases": `[{"name":"v1","status":"old","services":{"visits":"1.0.0"}}]`})
	if _, out, _ := reltool(t.Context(), "__complete upgrade v"); !strings.Contains(out, "v1\told, visits 1.0.0") {
		t.Errorf("got %q", out)
	}
}

const daemonJSON = `{"version":"0.2.0","digest":"0123456789abcdef","path":"/p","pid":9,"last":{"id":4,"by":{"version":"0.2.0"},"state":%q,"error":%q}}`

func TestDaemonIsReplacedOrItSaysWhoIsInCharge(t *testing.T) {
	answers := map[string]string{
		"GET /v1/daemon":           fmt.Sprintf(daemonJSON, "replaced", ""),
		"POST /v1/daemon/upgrade":  `{"id":4,"by":{"version":"0.2.0"},"state":"handing_over"}`,
		"POST /v1/daemon/rollback": `{"id":4,"by":{"version":"0.2.0"},"state":"handing_over"}`,
	}
	f := serve(t, answers)
	for _, line := range []string{"daemon upgrade /x/theseusd --downgrade", "daemon rollback"} {
		if code, out, errs := reltool(t.Context(), line); code != 0 || out != "theseusd 0.2.0 -> 0.2.0, pid 9\ndaemon replaced\n" {
			t.Errorf("%s: got %d %q %q", line, code, out, errs)
		}
	}
	if got := f.sent["POST /v1/daemon/upgrade"]; got != `{"path":"/x/theseusd","downgrade":true,"by":""}` {
		t.Errorf("sent %s", got)
	}
	answers["GET /v1/daemon"] = fmt.Sprintf(daemonJSON, "failed", "it ended before it was ready")
	code, _, errs := reltool(t.Context(), "daemon rollback")
	want := "reltool: theseusd 0.2.0 did not stay in charge: it ended before it was ready\nrunning now: theseusd 0.2.0, pid 9\n"
	if code != 1 || !strings.HasPrefix(errs, want) {
		t.Errorf("got %d %q, want %q", code, errs, want)
	}
	if code, _, errs := reltool(t.Context(), "daemon"); code != 2 {
		t.Errorf("got %d %q", code, errs)
	}
}
