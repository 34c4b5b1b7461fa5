package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/theseusd/theseus/plugins/ratelimit/internal/limit"
	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/clock"
)

// topLines is how many keys `top` lists.
const topLines = 20

// Flags that several verbs take.
var (
	policyFlag = sdk.Flag{Name: "policy", Arg: "NAME[,NAME]", Short: "the limits, all or none is charged; default if it is not there"}
	onePolicy  = sdk.Flag{Name: "policy", Arg: "NAME", Short: "the limit; default if it is not there"}
	costFlag   = sdk.Flag{Name: "cost", Arg: "N", Short: "what the call costs; 1 if it is not there"}
	leaseFlag  = sdk.Flag{Name: "lease", Arg: "LEASE", Short: "what check has printed"}
	jsonFlag   = sdk.Flag{Name: "json", Short: "as JSON"}
)

func (l *limiter) verbs() []sdk.Verb {
	return append([]sdk.Verb{
		{
			Name: "check", Args: "KEY", Short: "Ask whether a call may go on; ends with 1 if it may not", Do: l.checkVerb,
			Flags:    []sdk.Flag{policyFlag, costFlag, {Name: "dry-run", Short: "answer as always and charge nothing"}, jsonFlag},
			Examples: "ratelimit check user42\nratelimit check user42 --policy login,api --cost 3\nratelimit check user42 --dry-run && deploy",
		},
		{
			Name: "peek", Args: "KEY", Short: "Show what a key has left", Do: l.peekVerb,
			Flags: []sdk.Flag{policyFlag, jsonFlag}, Examples: "ratelimit peek user42 --policy api",
		},
		{
			Name: "refund", Args: "KEY", Short: "Give back what a call has cost", Do: l.keyVerb(l.refund),
			Flags: []sdk.Flag{onePolicy, costFlag}, Examples: "ratelimit refund user42 --cost 3",
		},
		{
			Name: "reset", Args: "KEY", Short: "Forget what a key has used", Do: l.keyVerb(func(a ask) error { _, err := l.reset(a); return err }),
			Flags: []sdk.Flag{onePolicy}, Examples: "ratelimit reset user42 --policy login",
		},
		{
			Name: "release", Args: "KEY", Short: "End a lease of a concurrency limit", Do: l.leaseVerb(l.release),
			Flags: []sdk.Flag{onePolicy, leaseFlag}, Examples: "ratelimit release build --policy jobs --lease 8c1f03ab5d2e9f40",
		},
		{
			Name: "renew", Args: "KEY", Short: "Let a lease begin anew", Do: l.leaseVerb(l.renew),
			Flags: []sdk.Flag{onePolicy, leaseFlag}, Examples: "ratelimit renew build --policy jobs --lease 8c1f03ab5d2e9f40",
		},
		{Name: "top", Short: "List the keys that were blocked most since this process began", Do: l.topVerb, Flags: []sdk.Flag{jsonFlag}},
	}, l.policyVerbs()...)
}

func (l *limiter) checkVerb(_ context.Context, c *sdk.Call) error {
	asks, err := l.asksIn(c, 1)
	if err != nil {
		return err
	}
	_, look := c.Flag("dry-run")
	v, err := l.check(asks, look)
	if err != nil {
		return asUsage(err)
	}
	if !c.Given("json") {
		c.Printf("%s\n", v.sentence())
	} else if err := c.JSON(v.view()); err != nil {
		return err
	}
	if !v.allowed {
		return sdk.ErrSaid
	}
	return nil
}

func (l *limiter) peekVerb(_ context.Context, c *sdk.Call) error {
	asks, err := l.asksIn(c, 0)
	if err != nil {
		return err
	}
	v, err := l.check(asks, true)
	if err != nil {
		return asUsage(err)
	}
	if c.Given("json") {
		return c.JSON(v.view())
	}
	for _, a := range v.answers {
		c.Printf("%s: remaining=%d limit=%d reset=%ds\n", a.ask.rule.name, a.Remaining, a.Limit, clock.Seconds(a.Reset))
	}
	return nil
}

// keyVerb does something to one key under one policy.
func (l *limiter) keyVerb(do func(ask) error) func(context.Context, *sdk.Call) error {
	return func(_ context.Context, c *sdk.Call) error {
		asks, err := l.asksIn(c, 1)
		if err == nil && len(asks) != 1 {
			err = sdk.Usagef("one policy at a time")
		}
		if err == nil {
			err = asUsage(do(asks[0]))
		}
		if err == nil {
			c.Printf("ok\n")
		}
		return err
	}
}

func (l *limiter) leaseVerb(do func(ask, uint64) error) func(context.Context, *sdk.Call) error {
	return func(ctx context.Context, c *sdk.Call) error {
		word, _ := c.Flag("lease")
		id, err := leaseOf(word)
		if err != nil {
			return sdk.Usagef("--lease: want the number that check has printed")
		}
		return l.keyVerb(func(a ask) error { return do(a, id) })(ctx, c)
	}
}

func (l *limiter) topVerb(_ context.Context, c *sdk.Call) error {
	lines := l.blocked.top(topLines)
	if c.Given("json") {
		return c.JSON(lines)
	}
	for _, line := range lines {
		c.Printf("%d %s %s\n", line.Blocked, line.Policy, line.Key)
	}
	return nil
}

// asksIn are the limits that a verb's flags name.
func (l *limiter) asksIn(c *sdk.Call, cost int64) (asks []ask, err error) {
	if word, given := c.Flag("cost"); given {
		if cost, err = strconv.ParseInt(word, 10, 64); err != nil || cost < 0 {
			return nil, sdk.Usagef("--cost %s: want a number, 0 or more", word)
		}
	}
	names, _ := c.Flag("policy")
	return l.asksFor(names, c.Args[0], cost)
}

// asUsage makes an error of usage of what the caller has done wrong, except for a lease that has ended.
func asUsage(err error) error {
	if err == errLease || !callersFault(err) { //nolint:errorlint // it is never wrapped
		return err
	}
	return sdk.Usagef("%v", err)
}

// sentence is the verdict for a person.
func (v verdict) sentence() string {
	worst := v.worst()
	switch {
	case v.allowed && v.lease() != "":
		return fmt.Sprintf("allowed (remaining=%d lease=%s)", worst.Remaining, v.lease())
	case v.allowed:
		return fmt.Sprintf("allowed (remaining=%d)", worst.Remaining)
	case worst.Retry == limit.Never:
		return fmt.Sprintf("blocked (never: it costs %d, the limit is %d)", worst.ask.cost, worst.Limit)
	}
	return fmt.Sprintf("blocked (retry_in=%ds)", clock.Seconds(worst.Retry))
}

// lease is the first one that was given.
func (v verdict) lease() string {
	for _, a := range v.answers {
		if a.lease != 0 {
			return leaseText(a.lease)
		}
	}
	return ""
}
