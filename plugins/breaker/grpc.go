package main

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/theseusd/theseus/plugins/breaker/api"
	"github.com/theseusd/theseus/plugins/breaker/internal/circuit"
)

// caller answers callers over gRPC.
type caller struct {
	api.UnimplementedBreakerServer
	b *breakers
}

var _ api.BreakerServer = caller{}

// Permit asks whether a call may be made.
func (c caller) Permit(_ context.Context, r *api.PermitRequest) (*api.PermitReply, error) {
	p, t, err := c.b.permit(r.Name)
	if err != nil {
		return nil, asStatus(err)
	}
	return &api.PermitReply{
		Allowed: p.Allowed, State: stateOf(t.State), Lease: p.Lease, RetryMicros: uint64(p.Retry.Microseconds()),
	}, nil
}

// Report tells how a call went.
func (c caller) Report(_ context.Context, r *api.ReportRequest) (*api.ReportReply, error) {
	took := time.Duration(min(r.TookMicros, uint64(time.Hour)*24*366/1000)) * time.Microsecond
	t, err := c.b.report(r.Name, circuit.Report{Failed: r.Failed, Took: took, Lease: r.Lease})
	if err != nil {
		return nil, asStatus(err)
	}
	return &api.ReportReply{State: stateOf(t.State)}, nil
}

func stateOf(s circuit.State) api.State { return api.State(s) + api.State_STATE_CLOSED }

func asStatus(err error) error {
	switch {
	case errors.Is(err, circuit.ErrLease):
		return status.Error(codes.FailedPrecondition, err.Error())
	case errors.Is(err, errMany):
		return status.Error(codes.ResourceExhausted, err.Error())
	case callersFault(err):
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return status.Error(codes.Unavailable, err.Error())
}
