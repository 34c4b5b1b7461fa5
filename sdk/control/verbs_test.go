package control

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func service(t *testing.T, h http.HandlerFunc) *Service {
	t.Helper()
	s, err := DialService(instance(t, "visits.sock", h), "visits")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVerbs(t *testing.T) {
	s := service(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "visits/2.0.0")
		fmt.Fprint(w, `[{"name":"hit","args":"USER","short":"Count"}]`)
	})
	verbs, version, err := s.Verbs(t.Context())
	if err != nil || version != "2.0.0" || len(verbs) != 1 || verbs[0].Args != "USER" {
		t.Fatalf("got %v %q %v", verbs, version, err)
	}
}

func TestCallAnswersWithTheText(t *testing.T) {
	s := service(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, body)
	})
	got, err := s.Call(t.Context(), "hit", "a b", `"`)
	if err != nil || got != "POST /verbs/hit {\"args\":[\"a b\",\"\\\"\"]}\n" {
		t.Fatalf("got %q, %v", got, err)
	}
	if got, _ = s.Call(t.Context(), "top"); got != "POST /verbs/top {\"args\":[]}\n" {
		t.Fatalf("no arguments are an empty list: %q", got)
	}
}

func TestCallErrors(t *testing.T) {
	status, body := 0, ""
	s := service(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	})
	call := func(code int, text string) error {
		status, body = code, text
		_, err := s.Call(t.Context(), "hit", "ada")
		return err
	}
	var verb *VerbError
	if err := call(422, `{"error":"no room","hint":"free some"}`); !errors.As(err, &verb) || verb.Hint != "free some" {
		t.Errorf("422: %#v", err)
	}
	var usage *UsageError
	if err := call(400, `{"error":"hit takes: hit USER","usage":"hit USER"}`); !errors.As(err, &usage) || usage.Usage != "hit USER" {
		t.Errorf("400: %#v", err)
	}
	if err := call(404, `{"error":"no verb"}`); !errors.As(err, &usage) || usage.Message != "no verb" {
		t.Errorf("404: %#v", err)
	}
	var other *Error
	if err := call(500, `boom`); !errors.As(err, &other) || other.Message != "boom" {
		t.Errorf("500: %#v", err)
	}
}

func TestServiceNamesAreNoPaths(t *testing.T) {
	for _, name := range []string{"", "../control", "a/b"} {
		if _, err := DialService(t.TempDir(), name); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
}

func TestSocketsListsCommands(t *testing.T) {
	dir := instance(t, "visits.sock", http.NotFoundHandler())
	run := RunDir(dir)
	for _, name := range []string{"control.sock", "metrics.sock"} {
		ln, err := net.Listen("unix", filepath.Join(run, name))
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close() //nolint:errcheck // ends with the test
	}
	if err := os.Symlink("metrics.sock", filepath.Join(run, "metricsctl.sock")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(run, "lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Sockets(dir)
	if err != nil || !slices.Equal(got, []string{"metricsctl", "visits"}) {
		t.Fatalf("got %v, %v", got, err)
	}
}

// After a crash of the keel the socket of a service was there and refused, while the daemon was bringing it up: its command
// said that no daemon is running.
func TestServiceThatIsBeingBroughtUpIsWaitedFor(t *testing.T) {
	dir := instance(t, "", nil)
	daemon, err := net.Listen("unix", filepath.Join(RunDir(dir), SocketName))
	if err != nil {
		t.Fatal(err)
	}
	defer daemon.Close() //nolint:errcheck // of a test
	path := filepath.Join(RunDir(dir), "visits.sock")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	_ = stale.Close()
	s, err := DialService(dir, "visits")
	if err != nil {
		t.Fatal(err)
	}
	up := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "[]") })}
	t.Cleanup(func() { _ = up.Close() })
	go func() {
		_, err := daemon.Accept() // it has been refused, and looks whether the daemon is there
		if err != nil {
			t.Error(err)
			return
		}
		ln, err := net.Listen("unix", path+".next")
		if err == nil {
			err = os.Rename(path+".next", path)
		}
		if err != nil {
			t.Error(err)
			return
		}
		_ = up.Serve(ln)
	}()
	if _, _, err := s.Verbs(t.Context()); err != nil {
		t.Error(err)
	}
}
