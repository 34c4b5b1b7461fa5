package sdk

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/theseusd/theseus/sdk/fault"
	"github.com/theseusd/theseus/sdk/serve"
	"github.com/theseusd/theseus/sdk/state"
	"github.com/theseusd/theseus/sdk/wire"
)

// process is a running version of a service: it answers the daemon and moves between the roles.
type process struct {
	wire.UnimplementedServiceServer
	service Service
	log     *slog.Logger
	grpc    *grpc.Server
	lease   lease
	drain   time.Duration // closeDrain

	mu     sync.Mutex // held for a whole change of role: they come one at a time
	store  *state.Store
	setup  *Setup
	group  *serve.Group
	tasks  *tasks
	procs  processes
	opened *wire.OpenReply
	leave  func() // ends following, and returns when it has

	role atomic.Int32 // a wire.StatusReply_Role; written under mu
}

var _ wire.ServiceServer = (*process)(nil)

func newProcess(s Service, log *slog.Logger) *process {
	rt := &process{service: s, log: log, drain: closeDrain}
	rt.setRole(wire.StatusReply_ROLE_STARTING)
	return rt
}

func (rt *process) setRole(r wire.StatusReply_Role) { rt.role.Store(int32(r)) }
func (rt *process) is(r wire.StatusReply_Role) bool { return rt.role.Load() == int32(r) }

// Open runs Setup and reads the log to its end.
func (rt *process) Open(ctx context.Context, req *wire.OpenRequest) (*wire.OpenReply, error) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.opened != nil {
		return rt.opened, nil
	}
	began := time.Now()
	rows, err := rt.openInherited(ctx, req)
	if err != nil {
		return nil, status.Error(codes.FailedPrecondition, err.Error())
	}
	description, err := json.Marshal(rt.setup.describe())
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	rt.opened = &wire.OpenReply{Description: description, Rows: rows, Micros: time.Since(began).Microseconds()}
	rt.setRole(wire.StatusReply_ROLE_STANDBY)
	fault.At(fault.ServiceOpened)
	return rt.opened, nil
}

func (rt *process) openInherited(ctx context.Context, req *wire.OpenRequest) (rows uint64, err error) {
	if err := captureStdio(rt.log); err != nil {
		return 0, err
	}
	listeners, err := inheritedListeners(wire.EnvListeners)
	if err != nil {
		return 0, err
	}
	also, err := inheritedListeners(wire.EnvAlso)
	if err != nil {
		return 0, err
	}
	if rows, err = rt.open(ctx, req.StateDir, req.Config, listeners); err != nil {
		return 0, err
	}
	for name, ln := range also {
		if err := rt.group.Also(name, ln); err != nil {
			_ = ln.Close() // the version has given it up
		}
	}
	return rows, nil
}

func (rt *process) open(ctx context.Context, dir string, config []byte, listeners map[string]net.Listener) (rows uint64, err error) {
	store, err := state.Open(dir, state.Options{Logger: rt.log})
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			store.Close()
		}
	}()
	setup := newSetup(rt.service, store, config, rt.log)
	if err := setup.run(); err != nil {
		return 0, err
	}
	group := serve.NewGroup(serve.Options{Logger: rt.log})
	if err := setup.bindAll(group, listeners); err != nil {
		return 0, err
	}
	if rows, err = store.Load(ctx); err != nil {
		return 0, err
	}
	rt.store, rt.setup, rt.group, rt.tasks = store, setup, group, newTasks(setup.tasks, rt.taskFailed)
	rt.procs = processes{setup.node}
	following, leave := context.WithCancel(context.Background())
	followed := make(chan struct{})
	rt.leave = func() { leave(); <-followed }
	go func() {
		defer close(followed)
		rt.follow(following)
	}()
	return rows, nil
}

// follow keeps up with the log for as long as the process lives. A log that cannot be followed any more makes the
// process worthless as a standby, so it ends and says why.
func (rt *process) follow(ctx context.Context) {
	if err := rt.store.Follow(ctx); err != nil && ctx.Err() == nil {
		rt.fatal("the state log cannot be followed", err)
	}
}

func (rt *process) taskFailed(err error) { rt.fatal("a background task of the service failed", err) }

func (rt *process) fatal(text string, err error) {
	rt.log.Error(text, "error", err)
	_, _ = os.NewFile(2, "stderr").WriteString(rt.service.Name + ": " + text + ": " + err.Error() + "\n")
	os.Exit(1)
}

// stopOnSignal ends the process in order when somebody sends it SIGTERM.
func (rt *process) stopOnSignal() {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGTERM)
	<-ch
	rt.close()
	os.Exit(0)
}

// ready is what every call but Open and Status needs.
func (rt *process) ready() error {
	if rt.opened == nil {
		return status.Error(codes.FailedPrecondition, "the process has not been opened yet")
	}
	return nil
}
