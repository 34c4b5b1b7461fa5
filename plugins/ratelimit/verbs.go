package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/theseusd/theseus/plugins/ratelimit/internal/limit"
	"github.com/theseusd/theseus/sdk"
)

func (l *limiter) verbs() []sdk.Verb {
	return []sdk.Verb{
		{
			Name: "check", Args: "KEY", Short: "Ask whether a call may go on; ends with 1 if it may not", Do: l.checkVerb,
			Flags: []sdk.Flag{
				{Name: "policy", Arg: "NAME[,NAME]", Short: "the limits to pass, all or none is charged; default if it is not there"},
				{Name: "cost", Arg: "N", Short: "what the call costs; 1 if it is not there, 0 only looks"},
				{Name: "dry-run", Short: "answer as always and charge nothing"},
			},
			Examples: "ratelimit check user42\nratelimit check user42 --policy login,api --cost 3\nratelimit check user42 --dry-run && deploy",
		},
	}
}

func (l *limiter) checkVerb(_ context.Context, c *sdk.Call) error {
	asks, err := l.asksOf(c)
	if err != nil {
		return err
	}
	_, look := c.Flag("dry-run")
	answers, allowed, err := l.check(asks, look)
	if err != nil {
		return err
	}
	c.Printf("%s\n", sentence(answers, allowed))
	if !allowed {
		return sdk.ErrSaid
	}
	return nil
}

// asksOf are the limits that a verb's flags name.
func (l *limiter) asksOf(c *sdk.Call) (asks []ask, err error) {
	cost := int64(1)
	if word, given := c.Flag("cost"); given {
		if cost, err = strconv.ParseInt(word, 10, 64); err != nil || cost < 0 {
			return nil, sdk.Usagef("--cost %s: want a number, 0 or more", word)
		}
	}
	names := standard.name
	if word, given := c.Flag("policy"); given {
		names = word
	}
	for name := range strings.SplitSeq(names, ",") {
		p, err := l.policies.find(name)
		if err != nil {
			return nil, err
		}
		asks = append(asks, ask{p, c.Args[0], cost})
	}
	return asks, nil
}

// sentence is the answer for a person: of the limit with the least left, or of the one that blocks for longest.
func sentence(answers []answer, allowed bool) string {
	worst := answers[0]
	for _, a := range answers[1:] {
		if allowed && a.Remaining < worst.Remaining || !allowed && a.Retry > worst.Retry {
			worst = a
		}
	}
	switch {
	case allowed:
		return fmt.Sprintf("allowed (remaining=%d)", worst.Remaining)
	case worst.Retry == limit.Never:
		return fmt.Sprintf("blocked (never: it costs %d, the limit is %d)", worst.ask.cost, worst.Limit)
	}
	return fmt.Sprintf("blocked (retry_in=%ds)", seconds(worst.Retry))
}

// seconds are whole ones, rounded up.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
