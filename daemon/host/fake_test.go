package host

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/theseusd/theseus/daemon/keel"
	"github.com/theseusd/theseus/sdk/wire"
	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/release"
)

// This test binary is also the service and the daemon of the tests.
func TestMain(m *testing.M) {
	if os.Getenv(wire.Handshake.MagicCookieKey) == wire.Handshake.MagicCookieValue {
		serveFake()
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "daemon" {
		daemonMain(os.Args[2])
		return
	}
	// Processes of a daemon that was killed become ours, as they would become the keel's.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // else the race detector holds up every exit
	os.Exit(m.Run())
}

// serveFake is a service: how it misbehaves is in its environment.
func serveFake() {
	signal.Ignore(syscall.SIGPIPE)
	f := &fakeService{}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  wire.Handshake,
		VersionedPlugins: map[int]plugin.PluginSet{wire.Protocol: {wire.PluginName: &fakePlugin{f: f}}},
		Logger:           hclog.NewNullLogger(),
		GRPCServer:       plugin.DefaultGRPCServer,
	})
}

type fakePlugin struct {
	plugin.NetRPCUnsupportedPlugin
	f *fakeService
}

func (p *fakePlugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	wire.RegisterServiceServer(s, p.f)
	return nil
}

func (p *fakePlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

type fakeService struct {
	wire.UnimplementedServiceServer
	mu    sync.Mutex
	role  wire.StatusReply_Role
	epoch uint64
}

func mode(s string) bool { return strings.Contains(os.Getenv("THESEUS_TEST"), s) }

func (f *fakeService) Open(_ context.Context, r *wire.OpenRequest) (*wire.OpenReply, error) {
	if mode("open-fails") {
		return nil, status.Error(codes.FailedPrecondition, "the log is from the future")
	}
	cwd, _ := os.Getwd()
	text, _ := json.Marshal(map[string]any{
		"env": os.Environ(), "state": r.StateDir, "config": string(r.Config), "cwd": cwd, "pgid": syscall.Getpgrp(),
	})
	_ = os.WriteFile(filepath.Join(r.StateDir, "opened"), text, 0o600)
	f.set(wire.StatusReply_ROLE_STANDBY)
	return &wire.OpenReply{Description: []byte(`{"name":"fake","version":"1.0.0"}`)}, nil
}

func (f *fakeService) set(r wire.StatusReply_Role) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.role != r && r == wire.StatusReply_ROLE_ACTIVE {
		f.epoch++
	}
	f.role = r
}

func (f *fakeService) Status(context.Context, *wire.StatusRequest) (*wire.StatusReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &wire.StatusReply{Role: f.role, Epoch: f.epoch, Rows: map[string]uint64{"t": 7}}, nil
}

func (f *fakeService) Health(context.Context, *wire.HealthRequest) (*wire.HealthReply, error) {
	return &wire.HealthReply{Ok: !mode("sick"), Reason: "tired"}, nil
}

func (f *fakeService) Activate(context.Context, *wire.ActivateRequest) (*wire.ActivateReply, error) {
	if mode("activate-dies") {
		os.Exit(3)
	}
	f.set(wire.StatusReply_ROLE_ACTIVE)
	go f.echo()
	return &wire.ActivateReply{Epoch: 1, Micros: 1500}, nil
}

// echo tells the pid to whoever connects to the listener http.
func (f *fakeService) echo() {
	for i, entry := range strings.Split(os.Getenv(wire.EnvListeners), ",") {
		if !strings.HasPrefix(entry, "http=") {
			continue
		}
		ln, err := net.FileListener(os.NewFile(uintptr(3+i), entry))
		if err != nil {
			return
		}
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(conn, os.Getpid())
			conn.Close()
		}
	}
}

func (f *fakeService) Release(_ context.Context, r *wire.ReleaseRequest) (*wire.ReleaseReply, error) {
	if mode("busy") {
		return nil, status.Error(codes.Aborted, "one request is in hand")
	}
	if mode("alone") && !r.Cut {
		return nil, status.Error(codes.FailedPrecondition, "serve: no pair")
	}
	f.set(wire.StatusReply_ROLE_STANDBY)
	return &wire.ReleaseReply{}, nil
}

// Settle leaves a note in the state directory.
func (f *fakeService) Settle(context.Context, *wire.SettleRequest) (*wire.SettleReply, error) {
	return &wire.SettleReply{}, os.WriteFile("settled", fmt.Append(nil, os.Getpid()), 0o600)
}

func (f *fakeService) Pair(_ context.Context, r *wire.PairRequest) (*wire.PairReply, error) {
	if r.Listen {
		return &wire.PairReply{}, os.WriteFile(r.Path, nil, 0o600)
	}
	_, err := os.Stat(r.Path)
	return &wire.PairReply{}, err
}

func (f *fakeService) Rehearse(_ *wire.RehearseRequest, s grpc.ServerStreamingServer[wire.RehearseReply]) error {
	_ = s.Send(&wire.RehearseReply{Rows: 1, Total: 2})
	if mode("bad-row") {
		return s.Send(&wire.RehearseReply{Failure: "count is negative", Table: "visits", Key: `"ada"`})
	}
	return s.Send(&wire.RehearseReply{Rows: 2, Total: 2, Done: true, Digest: "d"})
}

func (f *fakeService) Shadow(_ *wire.ShadowRequest, s grpc.ServerStreamingServer[wire.ShadowReply]) error {
	if mode("cut") {
		return nil
	}
	return s.Send(&wire.ShadowReply{Rows: 2, Total: 2, Done: true})
}

func (f *fakeService) Stop(context.Context, *wire.StopRequest) (*wire.StopReply, error) {
	if mode("deaf") {
		signal.Ignore(syscall.SIGTERM)
		return &wire.StopReply{}, nil
	}
	time.AfterFunc(20*time.Millisecond, func() { os.Exit(0) })
	return &wire.StopReply{}, nil
}

// sockets stands in for the keel.
type sockets struct {
	mu       sync.Mutex
	open     map[keel.Address]net.Listener
	retained map[string][]keel.Address
}

func (s *sockets) Listen(_ context.Context, a keel.Address) (*keel.Listener, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ln := s.open[a]
	if ln == nil {
		_ = os.Remove(a.Address)
		var err error
		if ln, err = net.Listen(a.Network, a.Address); err != nil {
			return nil, err
		}
		s.open[a] = ln
	}
	raw, err := ln.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, err
	}
	dup := -1
	err = raw.Control(func(fd uintptr) { dup, _ = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	return &keel.Listener{FD: dup, Addr: ln.Addr().String()}, err
}

func (s *sockets) Retain(_ context.Context, owner string, named []keel.Address) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retained[owner] = named
	return nil
}

// shelf stands in for the store: one directory a version, the binary a link to this one.
type shelf map[string]release.Package

func (s shelf) Get(digest string) (release.Package, error) {
	p, ok := s[digest]
	if !ok {
		return p, fmt.Errorf("%s: not in the store", digest)
	}
	return p, nil
}

func (s shelf) Look(digest string) (release.Package, error) { return s.Get(digest) }

const testVersions = "1.0.0,2.0.0"

func newShelf(dir string) (shelf, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := shelf{}
	for v := range strings.SplitSeq(testVersions, ",") {
		p := release.Package{Name: "fake", Version: v, Digest: "d" + v, Dir: filepath.Join(dir, v), Manifest: &appup.Manifest{
			Name: "fake", Version: v, Command: "fakectl",
			Listen:  []appup.Listen{{Name: "http", Network: "tcp", Address: "127.0.0.1:0"}},
			Restart: appup.Restart{Intensity: 3, Period: appup.Duration(5 * time.Second)},
		}}
		if err := os.MkdirAll(p.Dir, 0o700); err != nil {
			return nil, err
		}
		if err := os.Link(exe, p.Binary()); err != nil && !os.IsExist(err) {
			return nil, err
		}
		s[p.Digest] = p
	}
	return s, nil
}

// fixture is an instance directory with a host.
type fixture struct {
	*testing.T
	*Host
	dir   string
	shelf shelf
	keel  *sockets
}

func newHost(dir string, out hclog.Logger) (*Host, shelf, *sockets, error) {
	for _, sub := range []string{"run", "state"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, nil, nil, err
		}
	}
	packages, err := newShelf(filepath.Join(dir, "store"))
	if err != nil {
		return nil, nil, nil, err
	}
	k := &sockets{open: map[keel.Address]net.Listener{}, retained: map[string][]keel.Address{}}
	h := New(Options{
		Run: filepath.Join(dir, "run"), State: filepath.Join(dir, "state"), Programs: filepath.Join(dir, "store"),
		Listeners: k, Packages: packages, Logger: out, LogFormat: "json", LogLevel: "debug",
		Settings: func(string) release.Settings { return `{"config":{"a":1}}` },
	})
	return h, packages, k, nil
}

// testDir is on the file system of the test binary, so that it can be linked, and short.
func testDir(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(exe), "h")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Sweep(context.Background(), filepath.Join(dir, "run"), filepath.Join(dir, "store")); err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	return dir
}

func newFixture(t *testing.T, dir string) *fixture {
	t.Helper()
	log := hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: t.Output()})
	h, packages, k, err := newHost(dir, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return &fixture{t, h, dir, packages, k}
}

// daemonMain starts a service, tells that it is there and waits to be killed.
func daemonMain(dir string) {
	h, packages, _, err := newHost(dir, hclog.NewNullLogger())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx := context.Background()
	in, err := h.Start(ctx, packages["d1.0.0"])
	if err == nil {
		_, err = in.Activate(ctx, nil, false)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	h.Give("fake", in)
	if mode("stray") {
		_, err = h.Start(ctx, packages["d2.0.0"])
		records, _ := filepath.Glob(filepath.Join(dir, "run", "fake-2.0.0-*.json"))
		for _, r := range records {
			os.Remove(r)
		}
	}
	fmt.Println(in.ID(), err)
	select {}
}
