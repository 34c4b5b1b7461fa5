package main

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	common "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	rls "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	envoy "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/theseusd/theseus/plugins/ratelimit/internal/limit"
	"github.com/theseusd/theseus/sdk/clock"
)

// overridden is the name under which limits count that a gateway brings along.
const overridden = "rls.override"

// gateway answers Envoy's rate limit service: a policy's domain and descriptor say which requests it is for.
type gateway struct {
	rls.UnimplementedRateLimitServiceServer
	l *limiter
}

var _ rls.RateLimitServiceServer = gateway{}

// descriptor is one of a request: what it asks for, and what it gives back.
type descriptor struct {
	ask    *ask // nil if no policy is for it
	refund bool
	never  bool // its own limit allows nothing
}

// ShouldRateLimit asks for all descriptors at once: all that are limited are charged, or none. A descriptor that no policy
// is for is not limited.
func (g gateway) ShouldRateLimit(_ context.Context, r *rls.RateLimitRequest) (*rls.RateLimitResponse, error) {
	all := make([]descriptor, len(r.Descriptors))
	var asks []ask
	never := false
	for i, d := range r.Descriptors {
		all[i] = g.match(r, d)
		never = never || all[i].never
		if all[i].ask != nil && !all[i].refund {
			asks = append(asks, *all[i].ask)
		}
	}
	v := verdict{allowed: true}
	if len(asks) > 0 {
		var err error
		if v, err = g.l.check(asks, never); err != nil {
			return nil, asStatus(err)
		}
	}
	v.allowed = v.allowed && !never
	if err := g.giveBack(all); err != nil {
		return nil, asStatus(err)
	}
	return respond(all, v), nil
}

func (g gateway) giveBack(all []descriptor) error {
	for _, d := range all {
		if d.ask != nil && d.refund {
			if err := g.l.refund(*d.ask); err != nil {
				return err
			}
		}
	}
	return nil
}

// match finds what a descriptor asks for.
func (g gateway) match(r *rls.RateLimitRequest, d *common.RateLimitDescriptor) descriptor {
	found, ok := g.ruleOf(r.Domain, d)
	if !ok {
		return descriptor{never: d.Limit != nil && d.Limit.RequestsPerUnit == 0}
	}
	cost := int64(max(r.HitsAddend, 1))
	if d.HitsAddend != nil {
		cost = int64(min(d.HitsAddend.Value, math.MaxInt64))
	}
	return descriptor{ask: &ask{found, keyOf(r.Domain, d), cost}, refund: d.IsNegativeHits}
}

// ruleOf is the limit that the gateway brings along, or the most exact policy for the descriptor.
func (g gateway) ruleOf(domain string, d *common.RateLimitDescriptor) (rule, bool) {
	if o := d.Limit; o != nil {
		p := limit.Policy{Limit: int64(o.RequestsPerUnit), Per: perUnit[o.Unit]}.WithDefaults()
		return rule{Policy: p, name: overridden}, p.Check() == nil
	}
	for _, e := range g.l.policies.now.Load().domains[domain] {
		if fits(e.spec.Descriptor, d.Entries) {
			return e.rule, true
		}
	}
	return rule{}, false
}

func fits(want []string, entries []*common.RateLimitDescriptor_Entry) bool {
	if len(want) != len(entries) {
		return false
	}
	for i, e := range entries {
		key, value, exact := strings.Cut(want[i], "=")
		if e.Key != key || exact && e.Value != value {
			return false
		}
	}
	return true
}

var escape = strings.NewReplacer(`\`, `\\`, `|`, `\|`, `=`, `\=`)

// keyOf is the key of a descriptor: user=42|path=/login. Limits that the gateway brings along are told apart by domain.
func keyOf(domain string, d *common.RateLimitDescriptor) string {
	parts := make([]string, 0, len(d.Entries)+1)
	if d.Limit != nil {
		parts = append(parts, escape.Replace(domain))
	}
	for _, e := range d.Entries {
		parts = append(parts, escape.Replace(e.Key)+"="+escape.Replace(e.Value))
	}
	return strings.Join(parts, "|")
}

var perUnit = map[envoy.RateLimitUnit]time.Duration{
	envoy.RateLimitUnit_SECOND: time.Second, envoy.RateLimitUnit_MINUTE: time.Minute, envoy.RateLimitUnit_HOUR: time.Hour,
	envoy.RateLimitUnit_DAY: 24 * time.Hour, envoy.RateLimitUnit_MONTH: 30 * 24 * time.Hour, envoy.RateLimitUnit_YEAR: 365 * 24 * time.Hour,
}

var unitOf = map[time.Duration]rls.RateLimitResponse_RateLimit_Unit{
	time.Second: rls.RateLimitResponse_RateLimit_SECOND, time.Minute: rls.RateLimitResponse_RateLimit_MINUTE,
	time.Hour: rls.RateLimitResponse_RateLimit_HOUR, 24 * time.Hour: rls.RateLimitResponse_RateLimit_DAY,
}

// respond says what became of each descriptor, in their order, with the headers that HTTP would have.
func respond(all []descriptor, v verdict) *rls.RateLimitResponse {
	out := &rls.RateLimitResponse{OverallCode: rls.RateLimitResponse_OK, Statuses: make([]*rls.RateLimitResponse_DescriptorStatus, len(all))}
	if !v.allowed {
		out.OverallCode = rls.RateLimitResponse_OVER_LIMIT
	}
	next := 0
	for i, d := range all {
		out.Statuses[i] = &rls.RateLimitResponse_DescriptorStatus{Code: rls.RateLimitResponse_OK}
		switch {
		case d.never:
			out.Statuses[i].Code = rls.RateLimitResponse_OVER_LIMIT
		case d.ask != nil && !d.refund:
			out.Statuses[i] = statusOf(v.answers[next])
			next++
		}
	}
	if len(v.answers) > 0 {
		out.ResponseHeadersToAdd = headersOf(v)
	}
	return out
}

func statusOf(a answer) *rls.RateLimitResponse_DescriptorStatus {
	s := &rls.RateLimitResponse_DescriptorStatus{
		Code: rls.RateLimitResponse_OK, LimitRemaining: uint32(min(a.Remaining, math.MaxUint32)), DurationUntilReset: durationpb.New(a.Reset),
		CurrentLimit: &rls.RateLimitResponse_RateLimit{
			Name: a.ask.rule.name, RequestsPerUnit: uint32(a.ask.rule.Limit), Unit: unitOf[a.ask.rule.Per],
		},
	}
	if a.blocks() {
		s.Code = rls.RateLimitResponse_OVER_LIMIT
	}
	return s
}

func headersOf(v verdict) (all []*core.HeaderValue) {
	policies, left := limitHeaders(v)
	all = []*core.HeaderValue{{Key: "ratelimit-policy", Value: policies}, {Key: "ratelimit", Value: left}}
	if worst := v.worst(); !v.allowed && worst.blocks() && worst.Retry != limit.Never {
		all = append(all, &core.HeaderValue{Key: "retry-after", Value: strconv.FormatInt(clock.Seconds(worst.Retry), 10)})
	}
	return all
}

func asStatus(err error) error {
	if callersFault(err) {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return status.Error(codes.Unavailable, err.Error())
}
