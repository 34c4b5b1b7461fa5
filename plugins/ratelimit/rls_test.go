package main

import (
	"fmt"
	"strings"
	"testing"

	common "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	rls "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	envoy "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const edgeText = `
[[policy]]
name       = "user"
limit      = 5
per        = "1000h"
domain     = "edge"
descriptor = ["user"]

[[policy]]
name       = "login"
algorithm  = "quota"
limit      = 2
per        = "8000h"
domain     = "edge"
descriptor = ["user", "path=/login"]

[[policy]]
name       = "path"
limit      = 3
per        = "1m"
domain     = "edge"
descriptor = ["user", "path"]

[[policy]]
name       = "trial"
limit      = 1
per        = "1000h"
domain     = "edge"
descriptor = ["trial"]
dry_run    = true
`

// entries makes a descriptor of key=value words.
func entries(words ...string) *common.RateLimitDescriptor {
	d := &common.RateLimitDescriptor{}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		d.Entries = append(d.Entries, &common.RateLimitDescriptor_Entry{Key: key, Value: value})
	}
	return d
}

func rlsClient(t testing.TB, addr string) rls.RateLimitServiceClient {
	t.Helper()
	cc, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return rls.NewRateLimitServiceClient(cc)
}

// A gateway asks as Envoy does, with a client of go-control-plane.
func TestEnvoysRateLimitService(t *testing.T) {
	i := startWith(t, edgeText)
	client := rlsClient(t, i.Addr("grpc"))
	override := entries("plan=gold")
	override.Limit = &common.RateLimitDescriptor_RateLimitOverride{RequestsPerUnit: 2, Unit: envoy.RateLimitUnit_DAY}
	nothing := entries("plan=none")
	nothing.Limit = &common.RateLimitDescriptor_RateLimitOverride{RequestsPerUnit: 0, Unit: envoy.RateLimitUnit_DAY}
	back := entries("user=b")
	back.IsNegativeHits, back.HitsAddend = true, wrapperspb.UInt64(2)
	peek := entries("user=b")
	peek.HitsAddend = wrapperspb.UInt64(0)
	list := func(d ...*common.RateLimitDescriptor) []*common.RateLimitDescriptor { return d }
	for n, step := range []struct {
		domain string
		hits   uint32
		ask    []*common.RateLimitDescriptor
		want   string
	}{
		{"edge", 0, list(entries("user=a")), "OK [OK user 4]"},
		{"edge", 4, list(entries("user=a")), "OK [OK user 0]"},
		{"edge", 0, list(entries("user=a")), "OVER_LIMIT [OVER_LIMIT user 0]"},
		{"edge", 0, list(entries("user=b"), entries("user=b", "path=/login")), "OK [OK user 4] [OK login 1]"},
		{"edge", 2, list(entries("user=b"), entries("user=b", "path=/login")), "OVER_LIMIT [OK user 4] [OVER_LIMIT login 1]"},
		{"edge", 0, list(entries("user=b", "path=/x")), "OK [OK path 2]"},
		{"edge", 0, list(peek), "OK [OK user 4]"},
		{"edge", 2, list(entries("user=b")), "OK [OK user 2]"},
		{"edge", 0, list(back), "OK [OK]"},
		{"edge", 0, list(peek), "OK [OK user 4]"},
		{"edge", 0, list(entries("color=red")), "OK [OK]"},
		{"other", 0, list(entries("user=a")), "OK [OK]"},
		{"edge", 2, list(override), "OK [OK rls.override 0]"},
		{"other", 2, list(override), "OK [OK rls.override 0]"},
		{"edge", 1, list(override), "OVER_LIMIT [OVER_LIMIT rls.override 0]"},
		{"edge", 1, list(nothing, entries("user=c")), "OVER_LIMIT [OVER_LIMIT] [OK user 4]"},
		{"edge", 1, list(entries("user=c")), "OK [OK user 4]"},
		{"edge", 2, list(entries("trial=x")), "OK [OK trial 1]"},
		{"edge", 1, nil, "OK"},
	} {
		r, err := client.ShouldRateLimit(t.Context(), &rls.RateLimitRequest{Domain: step.domain, Descriptors: step.ask, HitsAddend: step.hits})
		if err != nil {
			t.Fatal(n, err)
		}
		got := r.OverallCode.String()
		for _, s := range r.Statuses {
			got += " [" + s.Code.String()
			if s.CurrentLimit != nil {
				got += fmt.Sprintf(" %s %d", s.CurrentLimit.Name, s.LimitRemaining)
			}
			got += "]"
		}
		if got != step.want {
			t.Errorf("%d: got %s, want %s", n, got, step.want)
		}
	}
	r, err := client.ShouldRateLimit(t.Context(), &rls.RateLimitRequest{Domain: "edge", Descriptors: list(entries("user=a"))})
	if err != nil || len(r.ResponseHeadersToAdd) != 3 || r.ResponseHeadersToAdd[0].Value != `"user";q=5;w=3600000` || r.ResponseHeadersToAdd[2].Key != "retry-after" {
		t.Error(r, err)
	}
	for name, bad := range map[string]*rls.RateLimitRequest{
		"a huge key":    {Domain: "edge", Descriptors: list(entries("user=" + strings.Repeat("k", maxKey)))},
		"too many":      {Domain: "edge", Descriptors: slicesRepeat(entries("user=a"), maxAsks+1)},
		"a lot at once": {Domain: "edge", Descriptors: list(entries("user=" + strings.Repeat("k", 1<<19)))},
		"empty entries": {Domain: "edge", Descriptors: list(entries("user=" + strings.Repeat("|", maxKey)))},
	} {
		if _, err := client.ShouldRateLimit(t.Context(), bad); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func slicesRepeat(d *common.RateLimitDescriptor, n int) (all []*common.RateLimitDescriptor) {
	for range n {
		all = append(all, d)
	}
	return all
}

func TestKeysOfDescriptorsAreNotMixedUp(t *testing.T) {
	seen := map[string][]string{}
	for _, words := range [][]string{{"a=b", "c=d"}, {"a=b|c=d"}, {"a|c=d"}, {`a=b\`, "c=d"}, {`a=b\|c=d`}, {"a=b", "c", "=d"}} {
		key := keyOf("", entries(words...))
		if other, twice := seen[key]; twice {
			t.Errorf("%q and %q are both %q", words, other, key)
		}
		seen[key] = words
	}
}
