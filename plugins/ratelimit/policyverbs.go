package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/theseusd/theseus/plugins/ratelimit/internal/limit"
	"github.com/theseusd/theseus/plugins/ratelimit/internal/policy"
	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/clock"
)

func (l *limiter) policyVerbs() []sdk.Verb {
	return []sdk.Verb{
		{Name: "policies", Short: "List the policies in force, and where they come from", Do: l.policiesVerb, Flags: []sdk.Flag{jsonFlag}},
		{
			Name: "apply", Args: "NAME", Short: "Put a policy in force, whatever the file says of that name", Do: l.applyVerb,
			Flags: []sdk.Flag{
				{Name: "algorithm", Arg: "NAME", Short: "how it counts; gcra if it is not there", Values: limit.Algorithms},
				{Name: "limit", Arg: "N", Short: "how many"},
				{Name: "per", Arg: "DURATION", Short: "in which time; not for concurrency"},
				{Name: "burst", Arg: "N", Short: "gcra: how many at once; the limit if it is not there"},
				{Name: "lease", Arg: "DURATION", Short: "concurrency: how long a lease lasts; 1m if it is not there"},
				{Name: "dry-run", Short: "it tells, and blocks nobody"},
			},
			Examples: "ratelimit apply login --algorithm sliding_window --limit 5 --per 1m\nratelimit apply api --limit 100 --per 1s --burst 200\n" +
				"ratelimit apply jobs --algorithm concurrency --limit 3 --lease 10m",
		},
		{Name: "remove", Args: "NAME", Short: "Take back what apply has put in force", Run: l.removeVerb},
	}
}

func (l *limiter) policiesVerb(_ context.Context, c *sdk.Call) error {
	if c.Given("json") {
		return c.JSON(l.policyViews())
	}
	for _, p := range l.policyViews() {
		c.Printf("%s\n", p)
	}
	l.policies.mu.Lock()
	defer l.policies.mu.Unlock()
	if f := l.policies.file; f.err != nil {
		c.Printf("%s is not in force: %v\n", f.path, f.err)
	}
	return nil
}

// String is a policy in one line.
func (p policyView) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s limit=%d", p.Name, p.Algorithm, p.Limit)
	rule := p.Rule()
	switch rule.Algorithm {
	case limit.GCRA:
		fmt.Fprintf(&b, " per=%v burst=%d", rule.Per, rule.Burst)
	case limit.Concurrency:
		fmt.Fprintf(&b, " lease=%v", rule.Lease)
	default:
		fmt.Fprintf(&b, " per=%v", rule.Per)
	}
	if p.DryRun {
		b.WriteString(" dry_run")
	}
	if p.Domain != "" {
		fmt.Fprintf(&b, " domain=%s descriptor=%s", p.Domain, strings.Join(p.Descriptor, ","))
	}
	return b.String() + " (" + p.Source + ")"
}

func (l *limiter) applyVerb(_ context.Context, c *sdk.Call) error {
	p := policy.Policy{Name: c.Args[0], DryRun: c.Given("dry-run")}
	if word, there := c.Flag("algorithm"); there {
		if err := p.Algorithm.UnmarshalText([]byte(word)); err != nil {
			return sdk.Usagef("--algorithm %s: %v", word, err)
		}
	}
	for flag, to := range map[string]*int64{"limit": &p.Limit, "burst": &p.Burst} {
		if word, there := c.Flag(flag); there {
			n, err := strconv.ParseInt(word, 10, 64)
			if err != nil {
				return sdk.Usagef("--%s %s: want a number", flag, word)
			}
			*to = n
		}
	}
	for flag, to := range map[string]*clock.Duration{"per": &p.Per, "lease": &p.Lease} {
		if word, there := c.Flag(flag); there {
			d, err := time.ParseDuration(word)
			if err != nil {
				return sdk.Usagef("--%s %s: want a duration, such as 30s", flag, word)
			}
			*to = clock.Duration(d)
		}
	}
	if err := asUsage(l.policies.set(p)); err != nil {
		return err
	}
	c.Printf("ok\n")
	return nil
}

func (l *limiter) removeVerb(_ context.Context, args []string) (string, error) {
	if err := l.policies.remove(args[0]); err != nil {
		return "", err
	}
	return "ok", nil
}
