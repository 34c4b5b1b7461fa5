package main

import (
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

// instance has a visits service, and a metrics service whose command is metricsctl.
func instance(t *testing.T) (dir string) {
	t.Helper()
	dir = empty(t)
	listen(t, dir, "control.sock", http.NotFoundHandler())
	listen(t, dir, "visits.sock", verbs(`[{"name":"hit","args":"USER","short":"Count a visit"},{"name":"top"}]`))
	listen(t, dir, "metrics.sock", verbs(`[{"name":"show"}]`))
	listen(t, dir, "pen.sock", verbs(`[{"name":"draw","args":"WHAT","short":"Draw it","examples":"pen draw a\npen draw b","flags":[
		{"name":"to","arg":"FILE","short":"where to","writes":true},{"name":"ink","arg":"INK","values":["red","blue"]},{"name":"bad"}]},
		{"name":"fold","args":"paper HOW twice","flags":[{"name":"by","arg":"WHO"}]}]`))
	if err := os.Symlink("metrics.sock", filepath.Join(control.RunDir(dir), "metricsctl.sock")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func empty(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "th")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func listen(t *testing.T, dir, socket string, h http.Handler) {
	t.Helper()
	if err := os.MkdirAll(control.RunDir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", filepath.Join(control.RunDir(dir), socket))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
}

// verbs is a service that knows hit, and a verb that fails.
func verbs(list string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /verbs", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Server", "visits/2.0.0")
		fmt.Fprint(w, list)
	})
	mux.HandleFunc("POST /verbs/draw", func(w http.ResponseWriter, r *http.Request) {
		var in control.Asked
		_ = json.NewDecoder(r.Body).Decode(&in)
		w.Header().Set("Content-Type", control.SaidType)
		bits := json.NewEncoder(w)
		for _, s := range []control.Said{
			{Out: in.Args[0] + "\n"}, {Progress: "half"}, {}, {Flag: "to", File: []byte("<svg>")}, {Note: "drawn"}, {Out: fmt.Sprint("colour ", in.Colour)},
		} {
			_ = bits.Encode(s)
		}
		if strings.Contains(strings.Join(in.Args, " "), "--bad") {
			_ = bits.Encode(control.Said{Last: true, Error: "no ink"})
		}
		_ = bits.Encode(control.Said{Last: true})
	})
	mux.HandleFunc("POST /verbs/hit", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Args []string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Args) == 0 {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"hit takes: hit USER","usage":"hit USER"}`)
			return
		}
		fmt.Fprint(w, "hit ", strings.Join(in.Args, "|"))
	})
	mux.HandleFunc("POST /verbs/full", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"error":"the disk is full","hint":"free some space"}`)
	})
	mux.HandleFunc("POST /verbs/", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error":"visits 2.0.0 has no such verb"}`)
	})
	return mux
}

func TestRun(t *testing.T) {
	dir := instance(t)
	t.Setenv(control.EnvDir, dir)
	nobody := empty(t)
	for _, tc := range []struct {
		name     string
		argv     string
		code     int
		out, err string
	}{
		{"a link is the command", "/usr/bin/visits hit ada", 0, "hit ada\n", ""},
		{"so is the first word", "theseus visits hit ada", 0, "hit ada\n", ""},
		{"flags after the verb are the verb's", "visits hit --ttl 30s --help", 0, "hit --ttl|30s|--help\n", ""},
		{"a link of another name than the service", "metricsctl hit x", 0, "hit x\n", ""},
		{
			"no verb lists them", "visits", 0,
			"verbs of visits 2.0.0\n\n  visits hit USER   Count a visit\n  visits top        \n", "",
		},
		{
			"help lists them", "theseus visits --help", 0,
			"verbs of visits 2.0.0\n\n  visits hit USER   Count a visit\n  visits top        \n", "",
		},
		{"no service lists them all", "theseus", 0, "metricsctl   show\npen          draw fold\nvisits       hit top\n", ""},
		{"a verb that fails", "visits full", 1, "", "visits: the disk is full\nvisits: free some space\n"},
		{"a verb called wrongly", "visits hit", 2, "", "visits: hit takes: hit USER\nvisits: usage: visits hit USER\n"},
		{"an unknown verb", "visits fly", 2, "", "visits: visits 2.0.0 has no such verb\nvisits: its verbs: visits --help\n"},
		{
			"an unknown service", "theseus chat send", 2, "",
			`chat: no service has the command "chat" in ` + dir + "\nchat: there are: metricsctl pen visits\n",
		},
		{
			"an unknown flag", "visits --fast hit", 2, "",
			"visits: unknown flag --fast\nvisits: usage: visits [--dir DIR] VERB [ARGS...]\n",
		},
		{
			"a flag without its value", "theseus --dir", 2, "",
			"theseus: --dir needs a directory\ntheseus: usage: theseus [--dir DIR] SERVICE VERB [ARGS...]   or   theseus tree   or   theseus completion bash|zsh|fish\n",
		},
		{
			"nobody is there", "visits --dir " + nobody + " hit ada", 3, "",
			"visits: no daemon is running in " + nobody + "\nvisits: start it with: theseusd --dir " + nobody +
				"   (another instance: --dir DIR or THESEUS_DIR)\n",
		},
		{
			"nobody is there to be listed", "theseus --dir=" + nobody, 3, "",
			"theseus: no daemon is running in " + nobody + "\ntheseus: start it with: theseusd --dir " + nobody +
				"   (another instance: --dir DIR or THESEUS_DIR)\n",
		},
		{"completion", "theseus completion bash", 0, "complete -C 'theseus __complete' theseus metricsctl pen visits\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out, errs strings.Builder
			code := run(t.Context(), strings.Fields(tc.argv), &out, &errs)
			if code != tc.code || out.String() != tc.out || errs.String() != tc.err {
				t.Errorf("got %d\n%q\n%q\nwant %d\n%q\n%q", code, out.String(), errs.String(), tc.code, tc.out, tc.err)
			}
		})
	}
}

func TestCompletionOffersServicesThenVerbs(t *testing.T) {
	t.Setenv(control.EnvDir, instance(t))
	for line, want := range map[string]string{
		"theseus ":           "metricsctl\npen\nvisits\ntree\n",
		"theseus t":          "tree\n",
		"theseus tree ":      "--json\n--dir\n--help\n",
		"tree ":              "",
		"theseus v":          "visits\n",
		"theseus visits ":    "hit\ntop\n",
		"visits t":           "top\n",
		"visits hit ":        "",
		"theseus nowhere x":  "",
		"":                   "metricsctl\npen\nvisits\n",
		"pen draw ":          "--to\n--ink\n--bad\n",
		"pen draw --ink ":    "red\nblue\n",
		"pen draw --ink b":   "blue\n",
		"pen draw --ink=r":   "--ink=red\n",
		"pen draw --to f -":  "--ink\n--bad\n",
		"pen draw --to ":     "",
		"pen fly --":         "",
		"pen fold ":          "paper\n--by\n",
		"pen fold --by me ":  "paper\n",
		"pen fold paper ":    "--by\n",
		"pen fold paper x t": "twice\n",
	} {
		t.Setenv("COMP_LINE", line)
		var out, errs strings.Builder
		if code := run(t.Context(), []string{"theseus", "__complete", "x"}, &out, &errs); code != 0 || out.String() != want {
			t.Errorf("%q: got %d %q %q, want %q", line, code, out.String(), errs.String(), want)
		}
	}
}

// manualOfDraw is what --help says of a verb with flags.
const manualOfDraw = `  pen draw WHAT [FLAGS]   Draw it

  --to FILE   where to
  --ink INK   
  --bad       

Examples:
  pen draw a
  pen draw b
`

func TestVerbsWithFlags(t *testing.T) {
	dir := instance(t)
	t.Setenv(control.EnvDir, dir)
	place := t.TempDir()
	file := filepath.Join(place, "out.svg")
	old := filepath.Join(place, "old.svg")
	if err := os.WriteFile(old, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		argv string
		code int
		out  string
		err  string
	}{
		{"the answer comes bit by bit, the progress to terminals only", "pen draw one --to " + file, 0, "one\ncolour false\n", "pen: drawn\n"},
		{"a -- is for the service", "pen draw -- --to x", 1, "--\n", "pen: the service wants to write a file for --to, which nobody has named\n"},
		{"an old file is replaced", "pen draw one --to=" + old, 0, "one\ncolour false\n", "pen: drawn\n"},
		{"a device is written to", "pen draw one --to /dev/null", 0, "one\ncolour false\n", "pen: drawn\n"},
		{"a failure in the middle", "pen draw one --bad --to " + file + "2", 1, "one\ncolour false\n", "pen: no ink\n"},
		{"help of a verb", "pen draw --help", 0, manualOfDraw, ""},
		{"help behind other words", "pen draw --ink red --help", 0, manualOfDraw, ""},
		{
			"a folder that is not there", "pen draw one --to " + place + "/no/x", 2, "",
			"pen: --to " + place + "/no/x cannot be written: no such file or directory\n",
		},
		{"a folder", "pen draw one --to " + place, 2, "", "pen: --to " + place + " cannot be written: it is a directory\n"},
		{"no name", "pen draw one --to=", 2, "", "pen: --to  cannot be written: it has no name\n"},
		{"a file that nobody has named", "pen draw one", 1, "one\n", "pen: the service wants to write a file for --to, which nobody has named\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out, errs strings.Builder
			code := run(t.Context(), strings.Fields(tc.argv), &out, &errs)
			if code != tc.code || out.String() != tc.out || errs.String() != tc.err {
				t.Errorf("got %d\n%q\n%q\nwant %d\n%q\n%q", code, out.String(), errs.String(), tc.code, tc.out, tc.err)
			}
		})
	}
	entries, err := os.ReadDir(place)
	if err != nil || len(entries) != 2 {
		t.Errorf("what is there: %v %v", entries, err)
	}
	for _, name := range []string{file, old} {
		if text, err := os.ReadFile(name); err != nil || string(text) != "<svg>" {
			t.Errorf("%s: %q %v", name, text, err)
		}
	}
	if info, err := os.Stat(old); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the mode of a file that is replaced: %v %v", info.Mode(), err)
	}
}

// Only the word - stood for the standard input, which nobody would look for behind `load FILE`.
func TestAVerbReadsStandardInputWithoutAWord(t *testing.T) {
	dir, kept := empty(t), os.Stdin
	t.Cleanup(func() { os.Stdin = kept })
	mux := http.NewServeMux()
	mux.HandleFunc("GET /verbs", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `[{"name":"load","args":"[-]","input":true},{"name":"put","args":"KEY VALUE","input":true}]`)
	})
	mux.HandleFunc("POST /verbs/", func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		_, given, _ := strings.Cut(string(text), "\n")
		fmt.Fprint(w, "read "+given)
	})
	listen(t, dir, "cache.sock", mux)
	for argv, want := range map[string]string{"load": "read text\n", "load -": "read text\n", "put a -": "read text\n", "put a b": "read \n"} {
		in, err := os.Open(filepath.Join("testdata", "input.txt"))
		if err != nil {
			t.Fatal(err)
		}
		os.Stdin = in
		var out, errs strings.Builder
		code := run(t.Context(), append([]string{"cache", "--dir", dir}, strings.Fields(argv)...), &out, &errs)
		if code != done || out.String() != want || errs.String() != "" {
			t.Errorf("%s: %d %q %q", argv, code, out.String(), errs.String())
		}
		_ = in.Close()
	}
}

// What standard input is for is not known before the verb is.
func TestAVerbThatIsNotDescribedIsNotCalled(t *testing.T) {
	dir := empty(t)
	listen(t, dir, "cache.sock", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			t.Error("it was called")
		}
		panic(http.ErrAbortHandler)
	}))
	var out, errs strings.Builder
	if code := run(t.Context(), []string{"cache", "--dir", dir, "load", "-"}, &out, &errs); code != failed {
		t.Errorf("%d %q %q", code, out.String(), errs.String())
	}
}

// A service that dies under a verb is not called the daemon, and what runs now is said.
func TestServiceThatDiesUnderAVerb(t *testing.T) {
	dir := empty(t)
	listen(t, dir, "lab.sock", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/verbs/run":
			w.Header().Set("Content-Type", control.SaidType)
			_ = json.NewEncoder(w).Encode(control.Said{Out: "begun\n"})
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case "/verbs/stop":
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, "[]")
	}))
	listen(t, dir, "control.sock", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(control.Status{Services: []control.ServiceStatus{
			{Name: "faultlab", Command: "lab", Version: "1.0.0", State: "restarting", Reason: "signal: killed"},
		}})
	}))
	const want = "lab: lab ended before it had answered; what it was asked for may be done, or not\n" +
		"lab: now: faultlab 1.0.0 is restarting: signal: killed; what happened: reltool history --service faultlab\n"
	for verb, said := range map[string]string{"run": "begun\n", "stop": ""} {
		var out, errs strings.Builder
		code := run(t.Context(), []string{"lab", "--dir", dir, verb}, &out, &errs)
		if code != failed || out.String() != said || errs.String() != want {
			t.Errorf("%s: %d\n%q\n%q\nwant %q", verb, code, out.String(), errs.String(), want)
		}
	}
}
