package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/theseusd/theseus/plugins/ratelimit/internal/policy"
	"github.com/theseusd/theseus/sdk/clock"
	"github.com/theseusd/theseus/sdk/state"
)

// standard is the policy that is there if nobody has written one of that name: a bucket of 10, filled every 12 seconds.
var standard = policy.Policy{Name: "default", Limit: 5, Per: clock.Duration(time.Minute), Burst: 10}

// Where a policy comes from, the strongest last.
const (
	fromBuiltIn = "built in"
	fromFile    = "file"
	fromAPI     = "api"
)

// policies are those in force: what was set by hand hides what the file says.
type policies struct {
	byHand *state.Table[policy.Policy] // by name
	file   *policyFile
	log    *slog.Logger
	mu     sync.Mutex // one change at a time
	now    atomic.Pointer[book]
}

// book is the policies at one time.
type book struct {
	byName  map[string]*entry
	domains map[string][]*entry // those with descriptors, the more exact first
}

// entry is a policy and where it comes from.
type entry struct {
	rule   rule
	spec   policy.Policy
	source string
}

func newPolicies(r state.Registrar, path string, log *slog.Logger) *policies {
	return &policies{
		byHand: state.NewTable(r, "policies", state.Schema[policy.Policy]{Name: "policy", Version: 1}),
		file:   newPolicyFile(r, path), log: log,
	}
}

// begin reads what is in force, before the first request.
func (p *policies) begin() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	found, err := p.file.begin()
	switch {
	case err != nil && found:
		p.log.Error("the policies are those that were good last", "file", p.file.path, "error", err)
	case err != nil:
		p.log.Error("there are no policies of the file, and none that were good before", "file", p.file.path, "error", err)
	}
	return p.rebuild()
}

// look reads the file again. A bad one changes nothing.
func (p *policies) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed, err := p.file.look()
	if err == nil && changed {
		err = p.rebuild()
	}
	switch {
	case err != nil && changed:
		p.log.Error("the policies stay as they were", "file", p.file.path, "error", err)
	case changed:
		p.log.Info("policies loaded", "file", p.file.path, "policies", len(p.file.good))
	}
}

// set puts a policy in force, whatever the file says of that name.
func (p *policies) set(one policy.Policy) error {
	if err := one.Check(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byHand.Len() >= policy.MaxPolicies {
		return fmt.Errorf("more than %d policies", policy.MaxPolicies)
	}
	if err := p.byHand.Put(one.Name, one); err != nil {
		return err
	}
	return p.rebuild()
}

var errNotByHand = errors.New("no policy of that name was set by hand")

// remove takes back what set has put in force.
func (p *policies) remove(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	there, err := p.byHand.Delete(name)
	if err == nil && !there {
		err = errNotByHand
	}
	if err != nil {
		return err
	}
	return p.rebuild()
}

// rebuild makes the book anew. The lock is held.
func (p *policies) rebuild() error {
	b := &book{byName: map[string]*entry{}, domains: map[string][]*entry{}}
	b.add(standard, fromBuiltIn)
	for _, one := range p.file.good {
		b.add(one, fromFile)
	}
	err := p.byHand.Range(func(_ string, one policy.Policy) bool {
		b.add(one, fromAPI)
		return true
	})
	if err != nil {
		return err
	}
	b.index()
	p.now.Store(b)
	return nil
}

func (b *book) add(one policy.Policy, source string) {
	b.byName[one.Name] = &entry{rule{one.Rule(), one.Name, one.DryRun}, one, source}
}

func (b *book) index() {
	for _, e := range b.list() {
		if e.spec.Domain != "" {
			b.domains[e.spec.Domain] = append(b.domains[e.spec.Domain], e)
		}
	}
	for _, list := range b.domains {
		slices.SortStableFunc(list, func(x, y *entry) int { return cmp.Compare(y.exact(), x.exact()) })
	}
}

// list is all policies by name.
func (b *book) list() []*entry {
	all := make([]*entry, 0, len(b.byName))
	for _, e := range b.byName {
		all = append(all, e)
	}
	slices.SortFunc(all, func(x, y *entry) int { return cmp.Compare(x.rule.name, y.rule.name) })
	return all
}

type unknownPolicy string

func (n unknownPolicy) Error() string { return fmt.Sprintf("there is no policy %.64q", string(n)) }

// find is the policy of a name.
func (p *policies) find(name string) (rule, error) {
	if e := p.now.Load().byName[name]; e != nil {
		return e.rule, nil
	}
	return rule{}, unknownPolicy(name)
}

// exact is how many entries of the descriptor have a value, and behind that how many there are.
func (e *entry) exact() int {
	n := len(e.spec.Descriptor)
	for _, entry := range e.spec.Descriptor {
		if strings.Contains(entry, "=") {
			n += 100
		}
	}
	return n
}
