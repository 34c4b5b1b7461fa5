// Package policy is limits with names, as a file or a request gives them. It is strict: what is not known is an error that
// points at its line, and a file with one mistake gives no policies at all.
package policy

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/theseusd/theseus/plugins/ratelimit/internal/limit"
	"github.com/theseusd/theseus/sdk/clock"
)

// Policy is one [[policy]] of a file, and a row of the table of those that were set by hand.
type Policy struct {
	Name       string          `toml:"name" json:"name"`
	Algorithm  limit.Algorithm `toml:"algorithm" json:"algorithm"`
	Limit      int64           `toml:"limit" json:"limit"`
	Per        clock.Duration  `toml:"per" json:"per,omitempty"`
	Burst      int64           `toml:"burst" json:"burst,omitempty"`
	Lease      clock.Duration  `toml:"lease" json:"lease,omitempty"`
	DryRun     bool            `toml:"dry_run" json:"dry_run,omitempty"`       // counts and tells, but blocks nobody
	Domain     string          `toml:"domain" json:"domain,omitempty"`         // of Envoy's requests
	Descriptor []string        `toml:"descriptor" json:"descriptor,omitempty"` // of Envoy's requests: "key" or "key=value", in order
}

// Bounds of policies.
const (
	MaxSize     = 1 << 20 // bytes of a file
	MaxPolicies = 10_000
	maxEntries  = 16 // of a descriptor
)

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// Rule is the policy without its name.
func (p Policy) Rule() limit.Policy {
	return limit.Policy{
		Algorithm: p.Algorithm, Limit: p.Limit, Per: time.Duration(p.Per), Burst: p.Burst, Lease: time.Duration(p.Lease),
	}.WithDefaults()
}

// Check says what is wrong with a policy; the error is a *limit.FieldError.
func (p Policy) Check() error {
	switch {
	case !nameForm.MatchString(p.Name):
		return &limit.FieldError{Field: "name", Reason: fmt.Sprintf("%.64q is not 1 to 63 lower case letters, digits, - and _", p.Name)}
	case len(p.Descriptor) > maxEntries:
		return &limit.FieldError{Field: "descriptor", Reason: fmt.Sprintf("more than %d entries", maxEntries)}
	case p.Domain != "" && len(p.Descriptor) == 0:
		return &limit.FieldError{Field: "domain", Reason: "it needs a descriptor"}
	case len(p.Descriptor) > 0 && p.Domain == "":
		return &limit.FieldError{Field: "descriptor", Reason: "it needs a domain"}
	}
	for _, entry := range p.Descriptor {
		if key, _, _ := strings.Cut(entry, "="); key == "" {
			return &limit.FieldError{Field: "descriptor", Reason: fmt.Sprintf("%.64q has no key; write \"user\" or \"path=/login\"", entry)}
		}
	}
	return limit.Policy{
		Algorithm: p.Algorithm, Limit: p.Limit, Per: time.Duration(p.Per), Burst: p.Burst, Lease: time.Duration(p.Lease),
	}.Check()
}
