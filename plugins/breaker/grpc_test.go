package main

import (
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/theseusd/theseus/plugins/breaker/api"
	"github.com/theseusd/theseus/plugins/breaker/internal/circuit"
	"github.com/theseusd/theseus/sdk/sdktest"
)

func TestCallersOverGRPC(t *testing.T) {
	i := sdktest.Start(t, service, sdktest.Options{Config: `{"default":{"failures":1,"cooldown":"20ms","probes":1}}`})
	cc, err := grpc.NewClient(i.Addr("grpc"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	client := api.NewBreakerClient(cc)
	if p, err := client.Permit(t.Context(), &api.PermitRequest{Name: "a"}); err != nil || !p.Allowed || p.State != api.State_STATE_CLOSED {
		t.Fatal(p, err)
	}
	if r, err := client.Report(t.Context(), &api.ReportRequest{Name: "a", Failed: true, TookMicros: 1 << 63}); err != nil || r.State != api.State_STATE_OPEN {
		t.Fatal(r, err)
	}
	var p *api.PermitReply
	for p.GetLease() == 0 { // until the cooldown is over
		if p, err = client.Permit(t.Context(), &api.PermitRequest{Name: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	if p.State != api.State_STATE_HALF_OPEN {
		t.Error(p)
	}
	if q, err := client.Permit(t.Context(), &api.PermitRequest{Name: "a"}); err != nil || q.Allowed || q.RetryMicros == 0 {
		t.Error(q, err)
	}
	if r, err := client.Report(t.Context(), &api.ReportRequest{Name: "a", Lease: p.Lease}); err != nil || r.State != api.State_STATE_CLOSED {
		t.Error(r, err)
	}
	if _, err := client.Report(t.Context(), &api.ReportRequest{Name: "a", Lease: p.Lease}); status.Code(err) != codes.FailedPrecondition {
		t.Error(err)
	}
	if _, err := client.Permit(t.Context(), &api.PermitRequest{Name: strings.Repeat("n", 200)}); status.Code(err) != codes.InvalidArgument {
		t.Error(err)
	}
	for s := circuit.Closed; s <= circuit.ForcedClosed; s++ {
		if got := strings.ToLower(strings.TrimPrefix(stateOf(s).String(), "STATE_")); got != s.String() {
			t.Errorf("%s is told as %s", s, got)
		}
	}
}
