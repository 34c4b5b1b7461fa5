package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// instance makes an instance directory with a server on one of its sockets; paths of sockets are short.
func instance(t *testing.T, socket string, h http.Handler) (dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "th")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.MkdirAll(RunDir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if h == nil {
		return dir
	}
	ln, err := net.Listen("unix", filepath.Join(RunDir(dir), socket))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	return dir
}

func daemon(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	c, err := Dial(instance(t, SocketName, h))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestCallDecodesTheAnswer(t *testing.T) {
	c := daemon(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, `{"to":%q,"digest":%q}`, r.Method+" "+r.URL.Path, body)
	})
	p, err := c.Plan(t.Context(), PlanRequest{To: "v2"})
	if err != nil || p.To != "POST /v1/plan" || p.Digest != "{\"to\":\"v2\"}\n" {
		t.Fatalf("got %+v, %v", p, err)
	}
}

func TestRefusalIsAnError(t *testing.T) {
	c := daemon(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"code":"busy","error":"one is under way","running":"v1","hint":"wait"}`)
	})
	_, err := c.Build(t.Context(), BuildRequest{})
	var e *Error
	if !errors.As(err, &e) || *e != (Error{Code: "busy", Message: "one is under way", Running: "v1", Hint: "wait"}) {
		t.Fatalf("got %#v", err)
	}
}

func TestRefusalThatIsNoJSONKeepsItsText(t *testing.T) {
	c := daemon(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "out of order", 500) })
	_, err := c.Status(t.Context())
	var e *Error
	if !errors.As(err, &e) || e.Code != "internal" || e.Message != "out of order" {
		t.Fatalf("got %#v", err)
	}
}

func TestNoDaemonSaysHowToStartOne(t *testing.T) {
	dir := instance(t, SocketName, nil)
	refusing := instance(t, SocketName, nil)
	ln, err := net.Listen("unix", filepath.Join(RunDir(refusing), SocketName))
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = ln.Close()
	for name, dir := range map[string]string{"no file": dir, "nobody listens": refusing} {
		t.Run(name, func(t *testing.T) {
			c, _ := Dial(dir)
			_, err := c.Status(t.Context())
			var e *DialError
			if !errors.Is(err, ErrNoDaemon) || !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(e.Error(), "no daemon is running in "+dir) || !strings.Contains(e.Hint(), "theseusd --dir "+dir) {
				t.Errorf("got %q, %q", e.Error(), e.Hint())
			}
		})
	}
}

func TestStreamGivesEventsAsTheyCome(t *testing.T) {
	next := make(chan struct{})
	c := daemon(t, func(w http.ResponseWriter, _ *http.Request) {
		for _, kind := range []string{"planned", "started"} {
			fmt.Fprintf(w, "{\"kind\":%q}\n", kind)
			_ = http.NewResponseController(w).Flush()
			<-next // the event must be seen before there is another one
		}
		fmt.Fprint(w, `{"kind":"end","last":true}`)
	})
	var seen []string
	err := c.Upgrade(t.Context(), UpgradeRequest{}, func(e Event) {
		seen = append(seen, e.Kind)
		if !e.Last {
			next <- struct{}{}
		}
	})
	if err != nil || strings.Join(seen, " ") != "planned started end" {
		t.Fatalf("got %v, %v", seen, err)
	}
}

func TestStreamEndsWithTheErrorOfItsLastEvent(t *testing.T) {
	c := daemon(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"kind":"planned"}`+"\n"+`{"kind":"end","last":true,"error":{"code":"aborted","error":"no"}}`)
	})
	var e *Error
	if err := c.Rollback(t.Context(), UpgradeRequest{}, nil); !errors.As(err, &e) || e.Code != "aborted" {
		t.Fatalf("got %v", err)
	}
}

func TestStreamThatBreaksOffIsLost(t *testing.T) {
	c := daemon(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, `{"kind":"planned"}`) })
	if err := c.Upgrade(t.Context(), UpgradeRequest{}, nil); !errors.Is(err, ErrLost) {
		t.Fatalf("got %v", err)
	}
}

func TestEndedContextIsTheCause(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	c := daemon(t, func(http.ResponseWriter, *http.Request) { <-hold })
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	if err := c.Upgrade(ctx, UpgradeRequest{}, nil); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrLost) {
		t.Fatalf("got %v", err)
	}
}

func TestFind(t *testing.T) {
	root := t.TempDir()
	deep := filepath.Join(root, "a", "b")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, Private), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(deep)
	for _, tc := range []struct{ name, dir, env, want string }{
		{"what is given wins", "x", "/y", filepath.Join(deep, "x")},
		{"then the environment", "", "/y", "/y"},
		{"then the nearest parent with a .theseus", "", "", root},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv(EnvDir, tc.env)
			if got, err := Find(tc.dir); err != nil || got != tc.want {
				t.Errorf("got %q, %v; want %q", got, err, tc.want)
			}
		})
	}
	t.Run("then the system's", func(t *testing.T) {
		t.Setenv(EnvDir, "")
		t.Chdir("/")
		if got, _ := Find(""); got != SystemDir {
			t.Errorf("got %q", got)
		}
	})
}
