package main

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/theseusd/theseus/sdk/sdktest"
)

// What was used is the same before and after a restart, whatever was called before. The limits do not come back while
// the test runs, so a sum is the model.
func TestNobodyGetsAFreshStart(t *testing.T) {
	i, path := startWith(t, policyText)
	limits := map[string]int64{"api": 20, "day": 30, "login": 25}
	used := map[[2]string]int64{}
	rapid.Check(t, func(r *rapid.T) {
		policy := rapid.SampledFrom([]string{"api", "day", "login"}).Draw(r, "policy")
		key := fmt.Sprintf("u%d", rapid.IntRange(0, 20).Draw(r, "key"))
		cost := rapid.Int64Range(1, 5).Draw(r, "cost")
		at := [2]string{policy, key}
		switch rapid.IntRange(0, 19).Draw(r, "what") {
		case 0:
			i.Stop()
			i = sdktest.Start(t, service, options(path, i.StateDir()))
		case 1:
			i.Verb("refund", key, "--policy", policy, "--cost", fmt.Sprint(cost))
			used[at] = max(used[at]-cost, 0)
		case 2:
			i.Verb("reset", key, "--policy", policy)
			used[at] = 0
		default:
			if used[at]+cost > limits[policy] {
				i.VerbFails("check", key, "--policy", policy, "--cost", fmt.Sprint(cost))
			} else {
				i.Verb("check", key, "--policy", policy, "--cost", fmt.Sprint(cost))
				used[at] += cost
			}
		}
		if got := remaining(t, i, policy, key); got != limits[policy]-used[at] {
			r.Fatalf("%v has %d left, want %d", at, got, limits[policy]-used[at])
		}
	})
}
