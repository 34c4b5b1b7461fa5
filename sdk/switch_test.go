package sdk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/theseusd/theseus/sdk/state"
	"github.com/theseusd/theseus/sdk/wire"
)

type countV1 struct {
	Count int64 `json:"count"`
}

type countV2 struct {
	Count int64  `json:"count"`
	Note  string `json:"note"`
}

// counting is a service whose version decides the shape of its rows. Each POST counts; /slow takes a while, and says when
// it begins.
func counting(version string, slow chan<- struct{}) Service {
	return Service{Name: "counting", Version: version, Setup: func(s *Setup) error {
		declare := bumpV1
		if version != "1.0.0" {
			declare = bumpV2
		}
		bump := declare(s)
		s.HTTP("http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				slow <- struct{}{}
				time.Sleep(150 * time.Millisecond)
			}
			n, err := bump(r.URL.Path)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			fmt.Fprintf(w, "%s %d", version, n)
		}))
		return nil
	}}
}

func bumpV1(s *Setup) func(string) (int64, error) {
	t := state.NewTable(s, "counts", state.Schema[countV1]{Name: "count", Version: 1})
	return func(key string) (int64, error) {
		v, err := t.Update(key, func(v countV1, _ bool) (countV1, error) { v.Count++; return v, nil })
		return v.Count, err
	}
}

func bumpV2(s *Setup) func(string) (int64, error) {
	t := state.NewTable(s, "counts", state.Schema[countV2]{
		Name: "count", Version: 2,
		Steps: []state.AnyStep{state.Add{From: 1, Fields: map[string]any{"note": "new"}}},
	})
	return func(key string) (int64, error) {
		v, err := t.Update(key, func(v countV2, _ bool) (countV2, error) { v.Count++; return v, nil })
		return v.Count, err
	}
}

// rig is two versions of one service on one log and one listener, as the daemon would have them.
type rig struct {
	t    *testing.T
	of   func(version string) Service
	slow chan struct{} // one for each request for /slow
	dir  string
	ln   *net.TCPListener
	conn net.Conn
	in   *bufio.Reader
}

func newRig(t *testing.T) *rig {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	r := &rig{t: t, slow: make(chan struct{}, 8), dir: t.TempDir(), ln: ln.(*net.TCPListener)}
	r.of = func(version string) Service { return counting(version, r.slow) }
	return r
}

func (r *rig) open(version string) *process {
	r.t.Helper()
	f, err := r.ln.File()
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	ln, err := net.FileListener(f)
	if err != nil {
		r.t.Fatal(err)
	}
	rt := newProcess(r.of(version), slog.New(slog.DiscardHandler))
	if _, err := rt.open(r.t.Context(), r.dir, nil, map[string]net.Listener{"http": ln}); err != nil {
		r.t.Fatal(err)
	}
	rt.opened = &wire.OpenReply{}
	rt.setRole(wire.StatusReply_ROLE_STANDBY)
	r.t.Cleanup(rt.close)
	return rt
}

// serve has a version serve.
func (r *rig) serve(p *process) *process {
	r.t.Helper()
	if _, err := p.Activate(r.t.Context(), &wire.ActivateRequest{}); err != nil {
		r.t.Fatal(err)
	}
	return p
}

func (r *rig) pair(serving, standby *process) {
	r.t.Helper()
	path := filepath.Join(r.t.TempDir(), "pair")
	for _, p := range []struct {
		rt     *process
		listen bool
	}{{standby, true}, {serving, false}} {
		if _, err := p.rt.Pair(r.t.Context(), &wire.PairRequest{Path: path, Listen: p.listen}); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *rig) swap(from, to *process, shadows map[string]int32) time.Duration {
	r.t.Helper()
	began := time.Now()
	if _, err := from.Release(r.t.Context(), &wire.ReleaseRequest{DrainMicros: 500_000}); err != nil {
		r.t.Fatal(err)
	}
	if _, err := to.Activate(r.t.Context(), &wire.ActivateRequest{Shadows: shadows, Paired: true}); err != nil {
		r.t.Fatal(err)
	}
	return time.Since(began)
}

// send writes a request on the rig's one connection, answer reads its answer.
func (r *rig) send(path string) {
	r.t.Helper()
	if r.conn == nil {
		conn, err := net.Dial("tcp", r.ln.Addr().String())
		if err != nil {
			r.t.Fatal(err)
		}
		r.t.Cleanup(func() { _ = conn.Close() })
		r.conn, r.in = conn, bufio.NewReader(conn)
	}
	if _, err := fmt.Fprintf(r.conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", path); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) answer() string {
	r.t.Helper()
	_ = r.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	resp, err := http.ReadResponse(r.in, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || resp.Close {
		r.t.Fatalf("%d %q close=%v: %v", resp.StatusCode, body, resp.Close, err)
	}
	return string(body)
}

func (r *rig) ask(path string) string { r.t.Helper(); r.send(path); return r.answer() }

func TestVersionsTakeTurnsOnOneConnection(t *testing.T) {
	r := newRig(t)
	v1 := r.serve(r.open("1.0.0"))
	if got := r.ask("/a"); got != "1.0.0 1" {
		t.Fatal(got)
	}
	v2 := r.open("2.0.0")
	r.pair(v1, v2)
	count := 1
	for range 5 {
		r.swap(v1, v2, map[string]int32{"counts": 1})
		for range 3 {
			count++
			if got, want := r.ask("/a"), "2.0.0 "+strconv.Itoa(count); got != want {
				t.Fatalf("%q, want %q", got, want)
			}
		}
		r.swap(v2, v1, nil)
		count++
		if got, want := r.ask("/a"), "1.0.0 "+strconv.Itoa(count); got != want {
			t.Fatalf("after the way back: %q, want %q", got, want)
		}
	}
}

func TestRequestInHandIsFinishedByTheVersionThatReadIt(t *testing.T) {
	r := newRig(t)
	v1 := r.serve(r.open("1.0.0"))
	r.ask("/a")
	v2 := r.open("2.0.0")
	r.pair(v1, v2)
	r.send("/slow")
	r.awaitInHand()
	r.swap(v1, v2, map[string]int32{"counts": 1})
	if got := r.answer(); got != "1.0.0 1" {
		t.Error(got)
	}
	if got := r.ask("/slow"); got != "2.0.0 2" {
		t.Error(got)
	}
}

// awaitInHand returns when a request for /slow is in its handler.
func (r *rig) awaitInHand() {
	r.t.Helper()
	select {
	case <-r.slow:
	case <-time.After(10 * time.Second):
		r.t.Fatal("the request does not come")
	}
}

func TestBusyVersionIsNotReleased(t *testing.T) {
	r := newRig(t)
	v1 := r.serve(r.open("1.0.0"))
	r.ask("/a")
	r.send("/slow")
	r.awaitInHand()
	_, err := v1.Release(t.Context(), &wire.ReleaseRequest{DrainMicros: 10_000})
	if status.Code(err) != codes.Aborted {
		t.Fatalf("%v, want ABORTED", err)
	}
	if got := r.answer(); got != "1.0.0 1" {
		t.Error(got)
	}
	if got := r.ask("/a"); got != "1.0.0 2" {
		t.Error("the version should serve on:", got)
	}
}

// The pair may break between the park and the last word. Then nobody has the connections but the version that served.
func TestVersionThatCannotHandOverServesOnWithItsConnections(t *testing.T) {
	r := newRig(t)
	v1 := r.serve(r.open("1.0.0"))
	r.ask("/a")
	v2 := r.open("2.0.0")
	r.pair(v1, v2)
	v2.group.Unpair()
	_, err := v1.Release(t.Context(), &wire.ReleaseRequest{DrainMicros: 500_000})
	if status.Code(err) != codes.FailedPrecondition {
		t.Fatalf("%v, want FAILED_PRECONDITION", err)
	}
	if got := r.ask("/a"); got != "1.0.0 2" {
		t.Error("the version should serve on, on the same connection:", got)
	}
	r.pair(v1, v2)
	r.swap(v1, v2, map[string]int32{"counts": 1})
	if got := r.ask("/a"); got != "2.0.0 3" {
		t.Error("once paired again the connection should travel:", got)
	}
}

// A process that stood still finds what it was asked meanwhile: also to settle, by somebody who has given it up.
func TestSettleThatNobodyWaitsForPartsNobody(t *testing.T) {
	r := newRig(t)
	v1, v2 := r.open("1.0.0"), r.open("2.0.0")
	r.serve(v1)
	r.ask("/a")
	r.pair(v1, v2)
	late, stop := context.WithCancel(t.Context())
	stop()
	if _, err := v1.Settle(late, &wire.SettleRequest{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	r.swap(v1, v2, map[string]int32{"counts": 1})
	if got := r.ask("/a"); got != "2.0.0 2" {
		t.Error("the connection should travel:", got)
	}
}

// A task that ends late had a version that stops serve once more: it took clients in, whom it cut off right after, and began its
// tasks again.
func TestVersionThatStopsTakesNobodyIn(t *testing.T) {
	r := newRig(t)
	begun, stopping, end := make(chan bool, 8), make(chan bool, 8), make(chan bool)
	defer close(end)
	of := r.of
	r.of = func(version string) Service {
		s := of(version)
		setup := s.Setup
		s.Setup = func(s *Setup) error {
			s.Go(func(ctx context.Context) error { begun <- true; <-ctx.Done(); return nil })
			s.Go(func(ctx context.Context) error { <-ctx.Done(); stopping <- true; <-end; return nil })
			return setup(s)
		}
		return s
	}
	v1 := r.open("1.0.0")
	v1.drain = 100 * time.Millisecond
	r.serve(v1)
	<-begun
	closed := make(chan bool)
	go func() { v1.close(); close(closed) }()
	<-stopping
	clients := make([]rig, 20)
	for i := range clients {
		clients[i] = rig{t: t, ln: r.ln}
		clients[i].send("/a")
	}
	<-closed
	if len(begun) > 0 {
		t.Error("a task began again")
	}
	v2 := r.open("2.0.0")
	v2.drain = v1.drain
	r.serve(v2)
	for i := range clients {
		if got := clients[i].answer(); !strings.HasPrefix(got, "2.0.0 ") {
			t.Error(got)
		}
	}
}

// With cut a version lets go all the same, and is a standby.
func TestVersionLetsGoOfConnectionsThatNobodyTakes(t *testing.T) {
	r := newRig(t)
	v1 := r.serve(r.open("1.0.0"))
	r.ask("/a")
	if _, err := v1.Release(t.Context(), &wire.ReleaseRequest{DrainMicros: 500_000, Cut: true}); err != nil {
		t.Fatal(err)
	}
	r.serve(r.open("2.0.0"))
	r.conn = nil
	if got := r.ask("/a"); got != "2.0.0 2" {
		t.Error(got)
	}
}

func TestDescribeTellsTablesVerbsAndListeners(t *testing.T) {
	d, err := Describe(counting("2.0.0", nil))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Tables) != 1 || d.Tables[0].Version != 2 || len(d.Tables[0].Steps) != 1 || d.Listeners[0] != "http" || len(d.Web) != 1 || d.Web[0] != "http" {
		t.Errorf("%+v", d)
	}
}

func TestSetupSaysAllThatIsWrong(t *testing.T) {
	_, err := Describe(Service{Name: "bad", Version: "1.0.0", Setup: func(s *Setup) error {
		s.HTTP("control", http.NotFoundHandler())
		s.HTTP("http", http.NotFoundHandler())
		s.HTTP("http", http.NotFoundHandler())
		s.Verb(Verb{Name: "NO"})
		return nil
	}})
	for _, want := range []string{"taken", "twice", `"NO"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
}

func TestRehearsalAndHealthOverTheRuntime(t *testing.T) {
	r := newRig(t)
	v1 := r.serve(r.open("1.0.0"))
	r.ask("/a")
	v2 := r.open("2.0.0")
	got, err := v2.store.Rehearse(t.Context(), func(uint64, uint64) {})
	if err != nil || got.Rows != 1 || got.Changed != 1 {
		t.Errorf("%+v %v", got, err)
	}
	v1.setup.checks = []func(context.Context) error{func(context.Context) error { panic("lost") }}
	if h, _ := v1.Health(t.Context(), nil); h.Ok || !strings.Contains(h.Reason, "lost") {
		t.Errorf("%+v", h)
	}
}
