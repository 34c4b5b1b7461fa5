package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/theseusd/theseus/sdk/control"
)

// asksToRun is a service that has the client run a command, and hears how that went.
func asksToRun(t *testing.T) (dir string, heard <-chan []string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "th")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.MkdirAll(control.RunDir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", filepath.Join(control.RunDir(dir), "breaker.sock"))
	if err != nil {
		t.Fatal(err)
	}
	reports := make(chan []string, 10)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /verbs", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "[]") })
	mux.HandleFunc("POST /verbs/exec", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", control.SaidType)
		out := json.NewEncoder(w)
		_ = out.Encode(control.Said{Exec: &control.Exec{Verb: "report", Args: []string{"a"}}})
		_ = out.Encode(control.Said{Last: true})
	})
	mux.HandleFunc("POST /verbs/report", func(_ http.ResponseWriter, r *http.Request) {
		var in control.Asked
		_ = json.NewDecoder(r.Body).Decode(&in)
		reports <- in.Args
	})
	srv := &http.Server{Handler: mux}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	return dir, reports
}

// The command is the one that the person has written, whatever the service says; its code is the client's.
func TestACommandIsRunAndReported(t *testing.T) {
	dir, heard := asksToRun(t)
	for line, want := range map[string]struct {
		code   int
		out    string
		report string
	}{
		"exec a -- echo hi":            {0, "hi\n", "a --exit 0 --took "},
		"exec a -- sh -c exit\t7":      {7, "", "a --exit 7 --took "},
		"exec a -- sh -c kill\t-9\t$$": {128 + 9, "", "a --exit 137 --took "},
		"exec a -- no-such-command":    {127, "", "a --exit 127 --took "},
		"exec a -- /":                  {126, "", "a --exit 126 --took "},
		"exec a --":                    {2, "", ""},
		"exec a":                       {2, "", ""},
	} {
		var out, complaints bytes.Buffer
		argv := []string{"breaker", "--dir", dir}
		for word := range strings.SplitSeq(line, " ") {
			argv = append(argv, strings.ReplaceAll(word, "\t", " "))
		}
		code := run(context.Background(), argv, &out, &complaints)
		report := ""
		if want.report != "" {
			report = strings.Join(<-heard, " ")
		}
		if code != want.code || out.String() != want.out || !strings.HasPrefix(report, want.report) {
			t.Errorf("%s: ended with %d, %q, reported %q; %s", line, code, &out, report, &complaints)
		}
	}
}

// A verb that goes on is called again, with the words that it has said.
func TestAVerbIsCalledAgain(t *testing.T) {
	dir := empty(t)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /verbs/join", func(w http.ResponseWriter, r *http.Request) {
		var in control.Asked
		_ = json.NewDecoder(r.Body).Decode(&in)
		w.Header().Set("Content-Type", control.SaidType)
		out := json.NewEncoder(w)
		_ = out.Encode(control.Said{Out: strings.Join(in.Args, " ") + "\n"})
		if n := len(in.Args); n < 3 && in.Goes {
			_ = out.Encode(control.Said{GoOn: &control.GoOn{Args: append(in.Args, "again")}})
		}
		_ = out.Encode(control.Said{Last: true})
	})
	listen(t, dir, "chat.sock", mux)
	var out, complaints bytes.Buffer
	code := run(t.Context(), []string{"chat", "--dir", dir, "join", "general"}, &out, &complaints)
	if code != 0 || out.String() != "general\ngeneral again\ngeneral again again\n" {
		t.Errorf("ended with %d: %q %q", code, &out, &complaints)
	}
}

// An interrupt from the terminal reached the command twice, and the end of the terminal kept the service from being told.
func TestSignalsOfTheTerminalReachACommandOnce(t *testing.T) {
	dir, heard := asksToRun(t)
	out, said := io.Pipe()
	go func() {
		_, _ = bufio.NewReader(out).ReadString('\n')
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGTERM} { // to this process alone
			_ = syscall.Kill(os.Getpid(), sig)
		}
		_, _ = io.Copy(io.Discard, out)
	}()
	code := run(context.Background(), []string{"breaker", "--dir", dir, "exec", "a", "--", "sh", "-c", `
		for n in INT HUP QUIT; do trap "exit 3" $n; done
		trap "exit 9" TERM
		echo ready
		while :; do sleep 0.01; done`}, said, io.Discard)
	if report := strings.Join(<-heard, " "); code != 9 || !strings.HasPrefix(report, "a --exit 9 ") {
		t.Errorf("ended with %d, reported %q, want what SIGTERM alone does", code, report)
	}
}
