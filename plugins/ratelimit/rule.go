package main

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/theseusd/theseus/plugins/ratelimit/internal/limit"
)

// rule is a policy as a call needs it. Names with a dot are those of callers who bring their limits along.
type rule struct {
	limit.Policy
	name   string
	dryRun bool // it tells, but blocks nobody
}

// throttled is the name under which CL.THROTTLE counts.
const throttled = "cl.throttle"

// ask is one limit that a call wants to pass.
type ask struct {
	rule rule
	key  string
	cost int64
}

// asksFor asks for a key under each of the policies, whose names are parted by commas; none is the default. It looks no
// further than to one more than a call may name.
func (l *limiter) asksFor(names, key string, cost int64) (asks []ask, err error) {
	for name := range strings.SplitSeq(cmp.Or(names, standard.Name), ",") {
		if len(asks) > maxAsks {
			break
		}
		found, err := l.policies.find(name)
		if err != nil {
			return nil, err
		}
		asks = append(asks, ask{found, key, cost})
	}
	return asks, nil
}

// rowOf is the key of its row.
func rowOf(a ask) string { return a.rule.name + "\x00" + a.key }

// answer is what became of an ask.
type answer struct {
	limit.Decision
	ask   ask
	lease uint64 // of a concurrency limit that allowed something
}

// blocks says whether the answer is a reason to refuse the call.
func (a answer) blocks() bool { return !a.Allowed && !a.ask.rule.dryRun }

// charges says whether the row of the limit is another one by it.
func (a answer) charges() bool { return a.Allowed && a.ask.cost > 0 }

// verdict is the answer to a call over all of its limits.
type verdict struct {
	allowed bool
	answers []answer
}

// worst is the limit with the least left, or the one that blocks for longest.
func (v verdict) worst() answer {
	worst := v.answers[0]
	for _, a := range v.answers[1:] {
		switch {
		case v.allowed && a.Remaining < worst.Remaining,
			!v.allowed && a.blocks() && (!worst.blocks() || a.Retry > worst.Retry):
			worst = a
		}
	}
	return worst
}

// view is a verdict for the outside.
type view struct {
	Allowed bool        `json:"allowed"`
	Limits  []limitView `json:"limits"`
}

type limitView struct {
	Policy    string   `json:"policy"`
	Key       string   `json:"key"`
	Allowed   bool     `json:"allowed"`
	DryRun    bool     `json:"dry_run,omitempty"`
	Limit     int64    `json:"limit"`
	Remaining int64    `json:"remaining"`
	Retry     *float64 `json:"retry_after,omitempty"` // seconds; missing if it is allowed, or if that can never be
	Reset     float64  `json:"reset"`                 // seconds
	Lease     string   `json:"lease,omitempty"`
}

func (v verdict) view() view {
	out := view{Allowed: v.allowed, Limits: make([]limitView, len(v.answers))}
	for i, a := range v.answers {
		out.Limits[i] = limitView{
			Policy: a.ask.rule.name, Key: a.ask.key, Allowed: a.Allowed, DryRun: a.ask.rule.dryRun,
			Limit: a.Limit, Remaining: a.Remaining, Reset: a.Reset.Seconds(), Lease: leaseText(a.lease),
		}
		if !a.Allowed && a.Retry != limit.Never {
			retry := a.Retry.Seconds()
			out.Limits[i].Retry = &retry
		}
	}
	return out
}

// leaseText is how the outside writes the number of a lease.
func leaseText(id uint64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatUint(id, 16)
}

func leaseOf(text string) (uint64, error) {
	id, err := strconv.ParseUint(text, 16, 64)
	if err != nil || id == 0 {
		return 0, errLease
	}
	return id, nil
}
