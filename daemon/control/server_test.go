package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/theseusd/theseus/daemon/audit"
	api "github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/release"
)

// fake is an engine, a store and a host that do as they are told.
type fake struct {
	built []release.Package
	by    string

	discarded []release.Package

	request api.UpgradeRequest
	events  []api.Event
	err     error
	gate    chan struct{} // if not nil an upgrade waits here after its events, whatever its caller does
	log     *audit.Log
	left    atomic.Bool // the caller of an upgrade went away
	ended   chan struct{}
	replace api.ReplaceRequest
	letGo   atomic.Bool
}

func (f *fake) Daemon(context.Context) (api.Daemon, error) {
	return api.Daemon{Program: api.Program{Version: "0.1.0"}, PID: 7}, nil
}

func (f *fake) Replace(_ context.Context, r api.ReplaceRequest) (api.Replacement, func(), error) {
	f.replace = r
	return api.Replacement{ID: 3, State: "handing_over"}, func() { f.letGo.Store(true) }, f.err
}

func (f *fake) Back(ctx context.Context, r api.ReplaceRequest) (api.Replacement, func(), error) {
	return f.Replace(ctx, r)
}

func (f *fake) Build(_ context.Context, pkgs []release.Package, by string, _ ...string) (api.Built, error) {
	f.built, f.by = pkgs, by
	return api.Built{From: "v1", To: "v2", New: true}, f.err
}

func (f *fake) Discard(pkgs []release.Package) { f.discarded = pkgs }

func (f *fake) Plan(_ context.Context, r api.PlanRequest) (api.Plan, error) {
	return api.Plan{To: r.To, Hold: r.Hold, Digest: "d"}, f.err
}

func (f *fake) Upgrade(ctx context.Context, r api.UpgradeRequest, emit func(api.Event)) error {
	f.request = r
	for _, e := range f.events {
		emit(e)
	}
	if f.gate == nil {
		return f.err
	}
	select {
	case <-ctx.Done():
		f.left.Store(true)
		close(f.ended)
		return context.Cause(ctx)
	case <-f.gate:
		return f.err
	}
}

func (f *fake) Rehearse(ctx context.Context, r api.UpgradeRequest, emit func(api.Event)) error {
	return f.Upgrade(ctx, r, emit)
}

func (f *fake) Rollback(ctx context.Context, r api.UpgradeRequest, emit func(api.Event)) error {
	return f.Upgrade(ctx, r, emit)
}

func (f *fake) Commit(ctx context.Context, r api.UpgradeRequest, emit func(api.Event)) error {
	return f.Upgrade(ctx, r, emit)
}

func (f *fake) Remove(_ context.Context, r api.RemoveRequest) (api.Removed, error) {
	f.by = r.By
	return api.Removed{Release: r.Release}, f.err
}

func (f *fake) Releases() []api.Release { return nil }

// past is a log that a test adds to.
func (f *fake) past() *audit.Log {
	if f.log == nil {
		f.log = audit.Open(audit.Options{Path: "/dev/null/audit.jsonl"})
		f.log.Note(api.Event{Kind: "built", To: "v1"})
	}
	return f.log
}

func (f *fake) Current() (string, string) { return "v1", "permanent" }
func (f *fake) InProgress() *api.Upgrade {
	return &api.Upgrade{From: "v1", To: "v2", Step: "probation"}
}

func (f *fake) Tree() api.Node { return api.Node{Name: "root", State: "running"} }

func (f *fake) Services() []api.ServiceStatus {
	return []api.ServiceStatus{{Name: "visits", Version: "1.0.0"}}
}

func (f *fake) Add(_ context.Context, path string) (release.Package, error) {
	if strings.Contains(path, "taken") {
		return release.Package{}, &release.RejectError{File: path, Reason: "it is in v3", Hint: "raise it", Err: release.ErrTaken}
	}
	if strings.Contains(path, "bad") {
		return release.Package{}, &release.RejectError{File: path, Reason: "it is truncated", Hint: "copy it again"}
	}
	return release.Package{Name: "visits", Version: filepath.Base(path)}, nil
}

// serve runs a server on the control socket of a new instance.
func serve(t *testing.T, f *fake, change ...func(*Server)) (c *api.Client, socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "th")
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(api.RunDir(dir), api.SocketName)
	if err := os.MkdirAll(filepath.Dir(socket), 0o700); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Engine: f, Past: f.past(), Services: f, Store: f, Replacer: f, Daemon: api.Status{Dir: dir, Version: "0.1.0", PID: 7}})
	for _, ch := range change {
		ch(s)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve returned %v", err)
		}
		_ = os.RemoveAll(dir)
	})
	if c, err = api.Dial(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, socket
}

func TestRemoveSaysWho(t *testing.T) {
	f := &fake{}
	c, _ := serve(t, f)
	got, err := c.Remove(t.Context(), api.RemoveRequest{Release: "v1"})
	if err != nil || got.Release != "v1" || got.Packages == nil || f.by == "" {
		t.Fatalf("got %+v, %v, by %q", got, err, f.by)
	}
	f.err = &api.Error{Code: "in_use", Message: "v1 runs"}
	var no *api.Error
	if _, err = c.Remove(t.Context(), api.RemoveRequest{Release: "v1"}); !errors.As(err, &no) || no.Code != "in_use" {
		t.Fatal(err)
	}
}

func TestStatusIsPutTogether(t *testing.T) {
	c, _ := serve(t, &fake{})
	s, err := c.Status(t.Context())
	if err != nil || s.PID != 7 || s.Release != "v1" || s.State != "permanent" || s.Upgrade.Step != "probation" ||
		len(s.Services) != 1 {
		t.Fatalf("got %+v, %v", s, err)
	}
}

func TestListsAreNeverNull(t *testing.T) {
	c, socket := serve(t, &fake{})
	if list, err := c.Releases(t.Context()); err != nil || list == nil {
		t.Fatalf("got %v, %v", list, err)
	}
	if got := get(t, socket, "GET", "/v1/releases", ""); got.body != "[]\n" {
		t.Errorf("got %q", got.body)
	}
}

func TestBuildTakesPackagesInAndSaysWho(t *testing.T) {
	f := &fake{}
	c, _ := serve(t, f)
	b, err := c.Build(t.Context(), api.BuildRequest{Packages: []string{"/a/1", "/a/2"}})
	if err != nil || !b.New || len(f.built) != 2 || f.built[1].Version != "2" {
		t.Fatalf("got %+v, %v, %v", b, f.built, err)
	}
	if want := account(); f.by != want {
		t.Errorf("by %q, want the account %q", f.by, want)
	}
}

func TestBadPackageIsRefusedWithTheReason(t *testing.T) {
	f := &fake{}
	c, _ := serve(t, f)
	_, err := c.Build(t.Context(), api.BuildRequest{Packages: []string{"/a/1", "/a/bad"}})
	var e *api.Error
	if !errors.As(err, &e) || e.Code != "bad_package" || e.Message != "/a/bad refused: it is truncated" || e.Hint != "copy it again" {
		t.Fatalf("got %#v", err)
	}
	if f.built != nil {
		t.Error("a release was built of the good one")
	}
}

// What came before a bad package does not stay in the store.
func TestPackagesOfARefusedBuildAreTakenOutAgain(t *testing.T) {
	for _, last := range []string{"/a/bad", "/a/taken", "relative"} {
		f := &fake{}
		c, _ := serve(t, f)
		_, err := c.Build(t.Context(), api.BuildRequest{Packages: []string{"/a/1", "/a/2", last}})
		if err == nil || len(f.discarded) != 2 || f.discarded[0].Version != "1" {
			t.Errorf("%s: %v, discarded %v", last, err, f.discarded)
		}
	}
}

// One source whose version is taken keeps the others, and a change in theseus.toml, from being built only if it was named.
func TestATakenVersionIsPassedOver(t *testing.T) {
	f := &fake{}
	c, _ := serve(t, f)
	r := api.BuildRequest{Packages: []string{"/a/1", "/a/taken"}}
	if _, err := c.Build(t.Context(), r); err == nil || f.built != nil {
		t.Errorf("%v, %v", f.built, err)
	}
	r.PassOver = true
	b, err := c.Build(t.Context(), r)
	if err != nil || len(f.built) != 1 || len(b.Warnings) != 1 || b.Warnings[0] != "passed over: it is in v3; raise it" {
		t.Errorf("%v, %+v, %v", f.built, b, err)
	}
	r.Packages = append(r.Packages, "/a/bad")
	if _, err := c.Build(t.Context(), r); err == nil {
		t.Error("a bad package was passed over")
	}
}

func TestUpgradeStreamsAndEnds(t *testing.T) {
	f := &fake{events: []api.Event{{Kind: "planned", Seq: 1}, {Kind: "permanent", Seq: 2, Last: true}}}
	c, _ := serve(t, f)
	var kinds []string
	err := c.Upgrade(t.Context(), api.UpgradeRequest{To: "v2", Digest: "d", By: "ada"}, func(e api.Event) {
		kinds = append(kinds, e.Kind)
	})
	if err != nil || strings.Join(kinds, " ") != "planned permanent end" {
		t.Fatalf("got %v, %v", kinds, err)
	}
	if f.request != (api.UpgradeRequest{To: "v2", Digest: "d", By: account() + ` for "ada"`}) {
		t.Errorf("the engine got %+v", f.request)
	}
}

// account is what the kernel says of us.
func account() string { return peer{known: true, uid: uint32(os.Getuid())}.who() }

func TestWhoAsksIsWhatTheKernelSays(t *testing.T) {
	s := New(Options{})
	r := httptest.NewRequest("POST", "/", nil)
	r = r.WithContext(context.WithValue(r.Context(), peerKey{}, peer{known: true, uid: 4242}))
	for said, want := range map[string]string{
		"":                        "uid 4242",
		"uid 4242":                "uid 4242",
		"root":                    `uid 4242 for "root"`,
		"a\x1b[31m\nb":            `uid 4242 for "a[31mb"`,
		strings.Repeat("é", 1000): `uid 4242 for "` + strings.Repeat("é", maxSaid) + `"`,
	} {
		if got := s.by(r, said); got != want {
			t.Errorf("%q: got %q, want %q", said, got, want)
		}
	}
	if got := (peer{known: true}).who(); got != "root (uid 0)" {
		t.Errorf("got %q", got)
	}
}

func TestHistoryIsFollowed(t *testing.T) {
	f := &fake{}
	c, _ := serve(t, f)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var seen []string
	err := c.Follow(ctx, func(list []api.Event) {
		seen = append(seen, fmt.Sprint(len(list), list[0].Kind))
		f.log.Note(api.Event{Kind: "crashed", Service: "visits"})
	}, func(e api.Event) {
		if seen = append(seen, e.Kind); e.Kind == "restarted" {
			stop()
			return
		}
		f.log.Note(api.Event{Kind: "restarted", Service: "visits"})
	})
	if !errors.Is(err, context.Canceled) || strings.Join(seen, ", ") != "1built, crashed, restarted" {
		t.Errorf("got %v, %v", seen, err)
	}
}

func TestUpgradeThatIsRefusedAtOnceHasAStatus(t *testing.T) {
	_, socket := serve(t, &fake{err: &api.Error{Code: "busy", Message: "one is under way"}})
	if got := get(t, socket, "POST", "/v1/upgrade", ""); got.status != http.StatusConflict {
		t.Fatalf("got %+v", got)
	}
}

func TestUpgradeThatFailsLaterEndsItsStreamWithTheError(t *testing.T) {
	f := &fake{events: []api.Event{{Kind: "planned"}}, err: &api.Error{Code: "rolled_back", Message: "unhealthy"}}
	c, _ := serve(t, f)
	var e *api.Error
	if err := c.Rollback(t.Context(), api.UpgradeRequest{}, nil); !errors.As(err, &e) || e.Code != "rolled_back" {
		t.Fatalf("got %v", err)
	}
}

func TestClientThatLeavesIsToldToTheEngine(t *testing.T) {
	f := &fake{events: []api.Event{{Kind: "planned"}}, gate: make(chan struct{}), ended: make(chan struct{})}
	c, _ := serve(t, f)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	err := c.Upgrade(ctx, api.UpgradeRequest{}, func(api.Event) { leave() })
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	<-f.ended
	if !f.left.Load() {
		t.Error("the engine still writes to nobody")
	}
}

// result is an answer as it is on the wire.
type result struct {
	status int
	body   string
	header http.Header
}

func get(t *testing.T, socket, method, path, body string) result {
	t.Helper()
	h := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer h.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://theseus"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := h.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return result{res.StatusCode, string(text), res.Header}
}

func TestRefusals(t *testing.T) {
	_, socket := serve(t, &fake{})
	for _, tc := range []struct {
		name, method, path, body string
		status                   int
		code                     string
	}{
		{"unknown path", "GET", "/v2", "", 404, "not_found"},
		{"wrong method", "DELETE", "/v1/releases", "", 405, "method"},
		{"unknown key", "POST", "/v1/plan", `{"too":"v2"}`, 400, "bad_request"},
		{"no JSON", "POST", "/v1/plan", `to=v2`, 400, "bad_request"},
		{"two values", "POST", "/v1/plan", `{} {}`, 400, "bad_request"},
		{"large body", "POST", "/v1/plan", strings.Repeat(" ", maxBody+1), 400, "bad_request"},
		{"relative path", "POST", "/v1/releases", `{"packages":["x.tpk"]}`, 400, "bad_request"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := get(t, socket, tc.method, tc.path, tc.body)
			var e api.Error
			if err := json.Unmarshal([]byte(got.body), &e); err != nil || got.status != tc.status || e.Code != tc.code || e.Message == "" {
				t.Fatalf("got %d %s", got.status, got.body)
			}
		})
	}
	if got := get(t, socket, "PUT", "/v1/releases", ""); got.header.Get("Allow") != "GET, POST" {
		t.Errorf("Allow is %q", got.header.Get("Allow"))
	}
}

func TestOthersAreForbidden(t *testing.T) {
	var asked peer
	_, socket := serve(t, &fake{}, func(s *Server) { s.may = func(p peer) bool { asked = p; return false } })
	got := get(t, socket, "GET", "/v1/status", "")
	if got.status != http.StatusForbidden || !strings.Contains(got.body, "forbidden") {
		t.Fatalf("got %+v", got)
	}
	if !asked.known || int(asked.uid) != os.Getuid() || int(asked.pid) != os.Getpid() {
		t.Errorf("the kernel said %+v", asked)
	}
}

func TestTrusted(t *testing.T) {
	me := uint32(os.Getuid())
	for _, tc := range []struct {
		name string
		p    peer
		want bool
	}{
		{"root", peer{known: true}, true},
		{"the daemon's account", peer{known: true, uid: me}, true},
		{"another account", peer{known: true, uid: me + 4711}, false},
		{"a connection without credentials", peer{}, false},
	} {
		if got := trusted(tc.p); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func TestWorksWithCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("no curl here")
	}
	f := &fake{events: []api.Event{{Kind: "planned", Seq: 1}}}
	_, socket := serve(t, f)
	ask := func(args ...string) string {
		out, err := exec.CommandContext(t.Context(), curl, append([]string{"-sS", "--unix-socket", socket}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("curl: %v: %s", err, out)
		}
		return string(out)
	}
	if out := ask("http://theseus/"); !strings.Contains(out, "POST /v1/upgrade") {
		t.Errorf("GET / says %q", out)
	}
	if out := ask("-X", "POST", "http://theseus/v1/plan"); !strings.Contains(out, `"digest":"d"`) {
		t.Errorf("a plan without a body: %q", out)
	}
	if out := ask("-d", `{"to":"v2"}`, "http://theseus/v1/upgrade"); strings.Count(out, "\n") != 2 {
		t.Errorf("the stream is %q", out)
	}
}

func TestTheDaemonLetsGoOnlyOnceItHasAnswered(t *testing.T) {
	f := &fake{}
	c, socket := serve(t, f)
	if d, err := c.Daemon(t.Context()); err != nil || d.Version != "0.1.0" || d.PID != 7 {
		t.Fatalf("got %+v, %v", d, err)
	}
	if got := get(t, socket, "POST", "/v1/daemon/upgrade", `{"path":"theseusd"}`); !strings.Contains(got.body, "no absolute path") {
		t.Errorf("a relative path: %+v", got)
	}
	f.err = &api.Error{Code: "older", Message: "it is older"}
	if _, err := c.ReplaceDaemon(t.Context(), api.ReplaceRequest{Path: "/x"}); err == nil || f.letGo.Load() {
		t.Errorf("refused: %v, and it let go: %v", err, f.letGo.Load())
	}
	f.err = nil
	r, err := c.ReplaceDaemon(t.Context(), api.ReplaceRequest{Path: "/x", Downgrade: true})
	if err != nil || r.ID != 3 || f.replace.Path != "/x" || !f.replace.Downgrade || f.replace.By == "" {
		t.Errorf("got %+v, %v, asked for %+v", r, err, f.replace)
	}
	if _, err := c.RollbackDaemon(t.Context(), "ada"); err != nil || !strings.Contains(f.replace.By, "ada") {
		t.Errorf("rollback: %v, asked for %+v", err, f.replace)
	}
	if !f.letGo.Load() {
		t.Error("it does not let go")
	}
}
