package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/theseusd/theseus/daemon/internal/proc"
	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/sdk/describe"
	"github.com/theseusd/theseus/sdk/wire"
	"github.com/theseusd/theseus/upgrades"
	"github.com/theseusd/theseus/upgrades/release"
)

// Times of the calls that the host makes by itself.
const (
	pingEvery      = time.Second
	statusTimeout  = time.Second
	attachTimeout  = 2 * time.Second  // for the first answer to a new daemon
	dialTimeout    = 10 * time.Second // for one that has answered
	attachPatience = 30 * time.Second // for one that came late: a process may be stopped, or its machine be busy
	stopPatience   = 10 * time.Second // for an orderly stop, if the caller has more
	termPatience   = 2 * time.Second  // after SIGTERM
	deathTime      = 200 * time.Millisecond
)

// instance is one process of one version.
type instance struct {
	host   *Host
	pkg    release.Package
	desc   describe.Service
	record record
	handle *proc.Handle
	client *plugin.Client
	svc    wire.ServiceClient
	over   chan struct{} // closed when nothing is left to clean up after the process, or the host is closed

	mu     sync.Mutex
	last   upgrades.Status
	answer time.Time // when it last answered
	missed int       // pings that it has not answered since
	lost   error     // why it is given up, until it answers a ping
	hung   string    // why it was killed
}

var _ upgrades.Instance = (*instance)(nil)

// instance makes a process known and looks after it.
func (h *Host) instance(p release.Package, handle *proc.Handle, client *plugin.Client, svc wire.ServiceClient, r record) *instance {
	in := &instance{
		host: h, pkg: p, desc: p.Describe, record: r, handle: handle, client: client, svc: svc, answer: time.Now(),
		over: make(chan struct{}),
	}
	h.service(p.Name).add(in)
	go in.watch(h.life)
	return in
}

// watch asks the process every second, which is also the sign of life that its lease waits for, and cleans up after its death.
func (in *instance) watch(ctx context.Context) {
	defer close(in.over)
	p := pulse{ask: func(ctx context.Context) error { _, err := in.ask(ctx); return err }, heed: in.heed}
	p.run(ctx, in.handle.Done())
	if !isDone(in) {
		return // the host is closed
	}
	in.client.Kill() // frees what go-plugin holds
	in.record.forget(in.host.o.Run)
	s := in.host.service(in.pkg.Name)
	s.remove(in)
	s.tidy()
}

// ID is stable over a restart of the daemon.
func (in *instance) ID() string {
	return in.pkg.Name + "-" + in.pkg.Version + "-" + in.record.ID.String()
}

// Package is what the process was started from.
func (in *instance) Package() release.Package { return in.pkg }

// Describe is what the process says of itself.
func (in *instance) Describe() describe.Service { return in.desc }

// Done is closed when the process is gone.
func (in *instance) Done() <-chan struct{} { return in.handle.Done() }

// exit tells how the process ended.
func (in *instance) exit() string {
	if how := in.Exit(); how != "" {
		return how
	}
	return "gone"
}

// killed is how a process ends that was sent SIGKILL.
var killed = proc.ExitText(syscall.WaitStatus(syscall.SIGKILL))

// Exit is how the process ended, or "" if nobody here knows.
func (in *instance) Exit() string {
	in.mu.Lock()
	defer in.mu.Unlock()
	how := in.handle.Exit()
	if in.hung != "" && (how == "" || how == killed) {
		return in.hung
	}
	return how
}

// seen is the last answer to Status.
func (in *instance) seen() upgrades.Status {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.last
}

// silence is how long the process has not answered.
func (in *instance) silence() time.Duration {
	in.mu.Lock()
	defer in.mu.Unlock()
	return time.Since(in.answer)
}

// Status asks the process.
func (in *instance) Status(ctx context.Context) (upgrades.Status, error) {
	ctx, cancel := in.attended(ctx)
	defer cancel()
	st, err := in.ask(ctx)
	if err != nil {
		return st, in.failIn(ctx, "status", err)
	}
	return st, nil
}

// ask is Status by somebody who has a short time limit.
func (in *instance) ask(ctx context.Context) (upgrades.Status, error) {
	r, err := in.svc.Status(ctx, &wire.StatusRequest{})
	if err != nil {
		return upgrades.Status{}, err
	}
	st := statusOf(r, in.record.PID)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.last, in.answer = st, time.Now()
	return st, nil
}

func statusOf(r *wire.StatusReply, pid int) upgrades.Status {
	st := upgrades.Status{
		Role: roles[r.Role], Epoch: r.Epoch, Lag: r.LagBytes, Rows: r.Rows, LogBytes: r.LogBytes,
		Connections: r.Connections, Ahead: r.Ahead, Unready: r.Unready,
	}
	if t := r.Traffic; t != nil {
		st.Traffic = control.Traffic{Requests: t.Requests, Failures: t.Failures, P99: micros(t.P99Micros).Seconds()}
	}
	st.RSS, st.Private = proc.RSS(pid), proc.Private(pid)
	if r.RefusedTable != "" {
		st.Refused = &upgrades.RowError{Table: r.RefusedTable, Key: r.RefusedKey, Reason: r.RefusedReason}
	}
	return st
}

var roles = map[wire.StatusReply_Role]upgrades.Role{
	wire.StatusReply_ROLE_UNSPECIFIED: upgrades.Starting,
	wire.StatusReply_ROLE_STARTING:    upgrades.Starting,
	wire.StatusReply_ROLE_STANDBY:     upgrades.Standby,
	wire.StatusReply_ROLE_ACTIVE:      upgrades.Active,
}

// Health asks for the service's own checks.
func (in *instance) Health(ctx context.Context) error {
	ctx, cancel := in.attended(ctx)
	defer cancel()
	r, err := in.svc.Health(ctx, &wire.HealthRequest{})
	if err != nil {
		return in.failIn(ctx, "health", err)
	}
	if !r.Ok {
		return fmt.Errorf("unhealthy: %s", r.Reason)
	}
	return nil
}

// Rehearse takes every row up and down again, or down and up. What breaks is named by table and key.
func (in *instance) Rehearse(ctx context.Context, down map[string]int32, progress func(upgrades.Progress)) (upgrades.Rehearsal, error) {
	ctx, cancel := in.attended(ctx)
	defer cancel()
	stream, err := in.svc.Rehearse(ctx, &wire.RehearseRequest{Down: down})
	if err != nil {
		return upgrades.Rehearsal{}, in.failIn(ctx, "rehearse", err)
	}
	for {
		r, err := stream.Recv()
		if err != nil {
			return upgrades.Rehearsal{}, in.failIn(ctx, "rehearse", unexpected(err))
		}
		if r.Failure != "" {
			return upgrades.Rehearsal{}, broken(r)
		}
		progress(upgrades.Progress{Done: r.Rows, Total: r.Total})
		if r.Done {
			return upgrades.Rehearsal{Rows: r.Rows, Changed: r.Changed, Lossy: r.Lossy, Digest: r.Digest}, nil
		}
	}
}

func broken(r *wire.RehearseReply) error {
	if r.Table == "" {
		return errors.New(r.Failure)
	}
	return &upgrades.RowError{Table: r.Table, Key: r.Key, Reason: r.Failure}
}

// unexpected is for a stream that ends before it says done.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Pair joins two processes. The one that serves listens, and is asked first.
func (in *instance) Pair(ctx context.Context, with upgrades.Instance) error {
	peer, ok := with.(*instance)
	if !ok {
		return fmt.Errorf("pair with %s: %w", with.ID(), upgrades.ErrGone)
	}
	path := filepath.Join(in.host.o.Run, fmt.Sprintf("%s%d-%d", pairPrefix, in.record.PID, peer.record.PID))
	if err := in.join(ctx, &wire.PairRequest{Path: path, Listen: true}); err != nil {
		return err
	}
	return peer.join(ctx, &wire.PairRequest{Path: path})
}

func (in *instance) join(ctx context.Context, r *wire.PairRequest) error {
	ctx, cancel := in.attended(ctx)
	defer cancel()
	_, err := in.svc.Pair(ctx, r)
	return in.failIn(ctx, "pair", err)
}

// Shadow has the writer append each change in older shapes as well.
func (in *instance) Shadow(ctx context.Context, versions map[string]int32, snapshot bool, progress func(upgrades.Progress)) error {
	ctx, cancel := in.attended(ctx)
	defer cancel()
	stream, err := in.svc.Shadow(ctx, &wire.ShadowRequest{Versions: versions, Snapshot: snapshot})
	if err != nil {
		return in.failIn(ctx, "shadow", err)
	}
	for {
		r, err := stream.Recv()
		if err != nil {
			return in.failIn(ctx, "shadow", unexpected(err))
		}
		progress(upgrades.Progress{Done: r.Rows, Total: r.Total})
		if r.Done {
			return nil
		}
	}
}

// Release makes the process let go.
func (in *instance) Release(ctx context.Context, budget time.Duration, cut bool) (upgrades.Released, error) {
	ctx, cancel := in.attended(ctx)
	defer cancel()
	r, err := in.svc.Release(ctx, &wire.ReleaseRequest{DrainMicros: budget.Microseconds(), Cut: cut})
	if err != nil {
		return upgrades.Released{}, in.failIn(ctx, "release", err)
	}
	return upgrades.Released{Drain: micros(r.DrainMicros), Connections: r.Connections}, nil
}

// Activate makes the process the one that serves.
func (in *instance) Activate(ctx context.Context, shadows map[string]int32, paired bool) (upgrades.Activated, error) {
	ctx, cancel := in.attended(ctx)
	defer cancel()
	r, err := in.svc.Activate(ctx, &wire.ActivateRequest{Shadows: shadows, Paired: paired})
	if err != nil {
		return upgrades.Activated{}, in.failIn(ctx, "activate", err)
	}
	return upgrades.Activated{
		Epoch: r.Epoch, Delta: r.DeltaRecords, Connections: r.Connections, Took: micros(r.Micros),
	}, nil
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// Settle ends a probation.
func (in *instance) Settle(ctx context.Context) error {
	ctx, cancel := in.attended(ctx)
	defer cancel()
	_, err := in.svc.Settle(ctx, &wire.SettleRequest{})
	return in.failIn(ctx, "settle", err)
}

// Stop ends the process in order, by SIGTERM when that does not work, and by SIGKILL when the context ends or the
// process has fallen silent. It returns nil when the process is gone.
func (in *instance) Stop(ctx context.Context) error {
	ctx, cancel := in.attended(ctx)
	defer cancel()
	asked, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	if _, err := in.svc.Stop(asked, &wire.StopRequest{}); err == nil && in.ended(asked) == nil {
		return nil
	}
	_ = in.handle.Signal(syscall.SIGTERM) // to one that is gone it means nothing
	warned, cancel := context.WithTimeout(ctx, termPatience)
	defer cancel()
	if in.ended(warned) == nil {
		return nil
	}
	in.host.log.Warn("killing a process that does not stop", "service", in.pkg.Name, "pid", in.record.PID)
	return in.kill()
}

// kill ends the process by force and returns when it is gone.
func (in *instance) kill() error {
	_ = in.handle.Signal(syscall.SIGKILL)
	ctx, cancel := context.WithTimeout(context.Background(), proc.KillTimeout)
	defer cancel()
	return in.ended(ctx)
}

// ended returns nil when the process is gone and its traces are too.
func (in *instance) ended(ctx context.Context) error {
	if err := in.handle.Wait(ctx); err != nil {
		return err
	}
	<-in.over
	return nil
}

// deathbed waits for a process whose connection has broken off to be dead, so that we can tell how it ended.
func (in *instance) deathbed() {
	select {
	case <-in.Done():
	case <-time.After(deathTime):
	}
}

// fail turns a gRPC error into one of ours.
func (in *instance) fail(call string, err error) error {
	if err == nil {
		return nil
	}
	where := fmt.Sprintf("%s %s, pid %d: %s", in.pkg.Name, in.pkg.Version, in.record.PID, call)
	s, _ := status.FromError(err)
	if s.Code() == codes.Unavailable {
		in.deathbed()
	}
	switch {
	case isDone(in):
		return fmt.Errorf("%s: %w (%s)", where, upgrades.ErrGone, in.exit())
	case errors.Is(err, errSilent):
		return fmt.Errorf("%s: %w", where, err)
	case errors.Is(err, context.DeadlineExceeded), s.Code() == codes.DeadlineExceeded:
		return fmt.Errorf("%s: no answer in time: %w", where, context.DeadlineExceeded)
	case errors.Is(err, context.Canceled), s.Code() == codes.Canceled:
		return fmt.Errorf("%s: %w", where, context.Canceled)
	case s.Code() == codes.Aborted:
		return fmt.Errorf("%s: %w: %s", where, upgrades.ErrBusy, s.Message())
	case s.Code() == codes.FailedPrecondition && call == "release":
		return fmt.Errorf("%s: %w: %s", where, upgrades.ErrUnpaired, s.Message())
	case s.Code() == codes.Unavailable:
		return fmt.Errorf("%s: %w: %s", where, upgrades.ErrGone, s.Message())
	case s.Code() == codes.Unknown:
		return fmt.Errorf("%s: %w", where, err)
	}
	return fmt.Errorf("%s: %s", where, s.Message())
}
