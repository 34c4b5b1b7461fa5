package main

import (
	"fmt"
	"time"

	"github.com/theseusd/theseus/plugins/ratelimit/internal/limit"
)

// policy is a limit with a name.
type policy struct {
	limit.Policy
	name string
}

// standard is the policy that is there if nobody has written one of that name: a bucket of 10, filled every 12 seconds.
var standard = policy{limit.Policy{Limit: 5, Per: time.Minute, Burst: 10}, "default"}

// policies are those that are in force.
type policies struct{}

func newPolicies() *policies { return &policies{} }

func (p *policies) find(name string) (policy, error) {
	if name == standard.name {
		return standard, nil
	}
	return policy{}, fmt.Errorf("there is no policy %q", name)
}
