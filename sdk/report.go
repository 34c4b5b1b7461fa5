package sdk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/theseusd/theseus/sdk/state"
	"github.com/theseusd/theseus/sdk/wire"
)

// Status is cheap: counters only, but for the mailboxes, which are looked at when somebody asks for them.
func (rt *process) Status(_ context.Context, req *wire.StatusRequest) (*wire.StatusReply, error) {
	reply := &wire.StatusReply{Role: wire.StatusReply_Role(rt.role.Load())}
	if reply.Role == wire.StatusReply_ROLE_STARTING {
		return reply, nil
	}
	s := rt.store.Stats()
	served, ahead := rt.group.Connections()
	reply.Epoch, reply.LogBytes, reply.LagBytes = s.Epoch, s.LogBytes, rt.store.Lag()
	reply.Rows, reply.Shadows = s.Rows, s.Shadows
	reply.Connections, reply.Ahead = uint64(served), uint64(ahead)
	reply.Unready = plain(s.Unready)
	if r := s.Refused; r != nil {
		reply.RefusedTable, reply.RefusedKey, reply.RefusedReason = r.Table, state.QuoteKey(r.Key), plain(r.Reason)
	}
	if node := rt.setup.node; node != nil && req.Mailboxes {
		n := node.Node().Waiting()
		reply.Mailbox = &n
	}
	t := rt.group.Meter().Traffic()
	reply.Traffic = &wire.Traffic{Requests: t.Requests, Failures: t.Failures, P99Micros: t.P99.Microseconds()}
	return reply, nil
}

// healthWait bounds all checks of one round.
const healthWait = time.Second

// Health asks every check of the active version, and whether its log takes writes. A standby is healthy: it serves nobody.
func (rt *process) Health(ctx context.Context, _ *wire.HealthRequest) (*wire.HealthReply, error) {
	if !rt.is(wire.StatusReply_ROLE_ACTIVE) {
		return &wire.HealthReply{Ok: true}, nil
	}
	if err := rt.store.Broken(); err != nil {
		return &wire.HealthReply{Reason: err.Error()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, healthWait)
	defer cancel()
	for _, check := range rt.setup.checks {
		if err := runCheck(ctx, check); err != nil {
			return &wire.HealthReply{Reason: err.Error()}, nil
		}
	}
	return &wire.HealthReply{Ok: true}, nil
}

// runCheck gives up on a check that does not mind its context, and takes a panic for an answer.
func runCheck(ctx context.Context, check func(context.Context) error) error {
	answer := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				answer <- fmt.Errorf("the health check panicked: %v", p)
			}
		}()
		answer <- check(ctx)
	}()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the health check did not answer within %s", healthWait)
	}
}

// Rehearse takes every row up and down again, or down and up, and reports as it goes.
func (rt *process) Rehearse(req *wire.RehearseRequest, out grpc.ServerStreamingServer[wire.RehearseReply]) error {
	if err := rt.ready(); err != nil {
		return err
	}
	report := every(progressEvery, func(done, total uint64) error {
		return out.Send(&wire.RehearseReply{Rows: done, Total: total})
	})
	var r state.Rehearsal
	var err error
	if len(req.Down) > 0 {
		r, err = rt.store.RehearseDown(out.Context(), req.Down, report)
	} else {
		r, err = rt.store.Rehearse(out.Context(), report)
	}
	last := &wire.RehearseReply{Rows: r.Rows, Total: r.Rows, Done: true, Changed: r.Changed, Lossy: r.Lossy, Digest: r.Digest}
	if err != nil {
		last.Failure = plain(err.Error())
		var row *state.RowError
		if errors.As(err, &row) {
			last.Table, last.Key, last.Failure = row.Table, state.QuoteKey(row.Key), plain(row.Err.Error())
		}
	}
	return out.Send(last)
}

// plain is text that the protocol can carry: keys and errors of a service may hold any bytes.
func plain(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

// Shadow makes the writer write older shapes as well, and with a snapshot all that it has in memory alone.
func (rt *process) Shadow(req *wire.ShadowRequest, out grpc.ServerStreamingServer[wire.ShadowReply]) error {
	if err := rt.ready(); err != nil {
		return err
	}
	report := every(progressEvery, func(done, total uint64) error {
		return out.Send(&wire.ShadowReply{Rows: done, Total: total})
	})
	if req.Snapshot {
		rt.mu.Lock()
		err := rt.procs.keep(out.Context(), report)
		rt.mu.Unlock()
		if err != nil {
			return status.Error(codes.FailedPrecondition, err.Error())
		}
	}
	if err := rt.store.Shadow(out.Context(), req.Versions, req.Snapshot, report); err != nil {
		return status.Error(codes.FailedPrecondition, err.Error())
	}
	return out.Send(&wire.ShadowReply{Done: true})
}

const progressEvery = 100 * time.Millisecond

// every thins out calls of f to one an interval. What f answers is for the stream's context to say as well.
func every(interval time.Duration, f func(done, total uint64) error) func(done, total uint64) {
	var last time.Time
	return func(done, total uint64) {
		if time.Since(last) < interval {
			return
		}
		last = time.Now()
		_ = f(done, total)
	}
}
