package sdk

import (
	"context"
	"errors"
	"os"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/theseusd/theseus/sdk/fault"
	"github.com/theseusd/theseus/sdk/state"
	"github.com/theseusd/theseus/sdk/wire"
)

// Release makes the active version a standby: no request is read any more, those in hand are finished, the pair gets
// the last word on each connection, and the log is fenced. The fence comes last because it cannot fail: what goes wrong
// before it is undone, and this version serves on with its connections.
func (rt *process) Release(ctx context.Context, req *wire.ReleaseRequest) (*wire.ReleaseReply, error) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if err := rt.ready(); err != nil || rt.is(wire.StatusReply_ROLE_STANDBY) {
		return &wire.ReleaseReply{}, err
	}
	if err := rt.procs.keep(ctx, func(uint64, uint64) {}); err != nil {
		return nil, status.Error(codes.Aborted, err.Error())
	}
	began := time.Now()
	budget := time.Duration(req.DrainMicros) * time.Microsecond
	if err := rt.quiesce(ctx, budget); err != nil {
		return nil, status.Error(codes.Aborted, err.Error())
	}
	drained := time.Since(began)
	n, err := rt.handOver(req.Cut)
	if err != nil {
		return nil, errors.Join(status.Error(codes.FailedPrecondition, err.Error()), rt.resume())
	}
	fault.At(fault.FenceBefore)
	if err := rt.store.Release(); err != nil {
		return nil, errors.Join(status.Error(codes.Internal, err.Error()), rt.resume())
	}
	fault.At(fault.FenceAfter)
	rt.setRole(wire.StatusReply_ROLE_STANDBY)
	return &wire.ReleaseReply{DrainMicros: drained.Microseconds(), Connections: uint64(n)}, nil
}

// handOver gives the connections to the pair. With cut it does not matter if nobody takes them: they end once this
// version does not come back.
func (rt *process) handOver(cut bool) (n int, err error) {
	fault.At(fault.FinishBefore)
	n, err = rt.group.Finish()
	fault.At(fault.FinishAfter)
	if err != nil && cut {
		rt.log.Warn("connections are cut", "error", err)
		return 0, nil
	}
	return n, err
}

// quiesce leaves nothing in hand, or everything as it was.
func (rt *process) quiesce(ctx context.Context, budget time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	if err := rt.group.Park(ctx, budget); err != nil {
		return err
	}
	fault.At(fault.Parked)
	if err := rt.tasks.stop(ctx); err != nil {
		return errors.Join(err, rt.resume())
	}
	if err := rt.procs.freeze(ctx); err != nil {
		return errors.Join(err, rt.resume())
	}
	return nil
}

func (rt *process) resume() error {
	err := rt.procs.thaw()
	rt.tasks.start()
	return errors.Join(err, rt.group.Arm())
}

// Activate makes a standby the one writer and server.
func (rt *process) Activate(ctx context.Context, req *wire.ActivateRequest) (*wire.ActivateReply, error) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if err := rt.ready(); err != nil {
		return nil, err
	}
	if rt.is(wire.StatusReply_ROLE_ACTIVE) {
		return &wire.ActivateReply{Epoch: rt.store.Stats().Epoch}, nil
	}
	began := time.Now()
	if req.Paired {
		rt.awaitPair(ctx)
		fault.At(fault.Awaited)
	}
	act, err := rt.store.Activate(ctx, req.Shadows)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	if err := rt.setup.isReady(); err != nil {
		return nil, errors.Join(status.Error(codes.Internal, err.Error()), rt.store.Release())
	}
	if err := rt.procs.wake(ctx, req.Paired); err != nil {
		return nil, errors.Join(status.Error(codes.Internal, err.Error()), rt.store.Release())
	}
	if err := rt.group.Arm(); err != nil {
		return nil, errors.Join(status.Error(codes.Internal, err.Error()), rt.within(rt.procs.freeze), rt.store.Release())
	}
	fault.At(fault.Armed)
	rt.tasks.start()
	rt.setRole(wire.StatusReply_ROLE_ACTIVE)
	served, _ := rt.group.Connections()
	return &wire.ActivateReply{
		Epoch: act.Epoch, DeltaRecords: act.Delta,
		Micros: time.Since(began).Microseconds(), Connections: uint64(served),
	}, nil
}

// pairWait bounds the wait for a peer that fenced its log and then fell silent.
const pairWait = time.Second

// awaitPair waits for the other version's last word on each connection. If it cannot give it, because it died, its
// connections are gone with it, and serving new ones at once is all that can be done.
func (rt *process) awaitPair(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pairWait)
	defer cancel()
	if err := rt.group.Await(ctx); err != nil {
		rt.log.Warn("no connections were handed over", "error", err)
	}
}

// Pair joins this process with the other version's.
func (rt *process) Pair(ctx context.Context, req *wire.PairRequest) (*wire.PairReply, error) {
	if err := rt.ready(); err != nil {
		return nil, err
	}
	if err := rt.group.Pair(ctx, req.Path, req.Listen); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &wire.PairReply{}, nil
}

// Settle ends a probation. A request that nobody waits for any more is void: since then another probation may have begun.
func (rt *process) Settle(ctx context.Context, _ *wire.SettleRequest) (*wire.SettleReply, error) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if err := errors.Join(rt.ready(), ctx.Err()); err != nil {
		return nil, err
	}
	rt.group.Unpair()
	rt.procs.settle()
	rt.group.Only()
	if err := rt.store.Settle(ctx); err != nil && !errors.Is(err, state.ErrNotWriter) {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &wire.SettleReply{}, nil
}

// Stop ends the process once its answer is out.
func (rt *process) Stop(context.Context, *wire.StopRequest) (*wire.StopReply, error) {
	rt.close()
	go rt.exit()
	return &wire.StopReply{}, nil
}

// exitGrace is for the answer to Stop to leave; go-plugin's own stream would keep a graceful stop waiting for ever.
const exitGrace = 200 * time.Millisecond

func (rt *process) exit() {
	time.AfterFunc(exitGrace, func() { os.Exit(0) })
	rt.grpc.GracefulStop()
	os.Exit(0)
}

// closeDrain is how long each of requests, tasks and processes may take when the process is stopped.
const closeDrain = 2 * time.Second

// close ends what the process does, in order: requests in hand, background tasks, the log. A standby's connections
// belong to the other version and are left alone.
func (rt *process) close() {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.opened == nil {
		return
	}
	if rt.is(wire.StatusReply_ROLE_ACTIVE) {
		rt.retire()
	}
	rt.group.Unpair()
	rt.procs.close()
	rt.leave()
	if err := rt.store.Close(); err != nil {
		rt.log.Error("the state log did not close", "error", err)
	}
	rt.setRole(wire.StatusReply_ROLE_STARTING)
	rt.opened = nil
}

// retire ends the work of the active version, and takes nothing back: what does not end in time is cut off. Clients that come
// meanwhile wait for the next start; so do the processes.
func (rt *process) retire() {
	if rt.group.Park(context.Background(), rt.drain) != nil {
		rt.group.Hangup() // it serves again, which is not to last
	}
	if err := rt.within(rt.tasks.stop); err != nil {
		rt.log.Warn("a background task is cut off", "error", err)
	}
	if err := rt.within(rt.procs.leave); err != nil {
		rt.log.Error("the processes do not go on in the next start, but for those that persist", "error", err)
	}
	rt.group.Hangup()
}

// within gives f a time of its own.
func (rt *process) within(f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), rt.drain)
	defer cancel()
	return f(ctx)
}
