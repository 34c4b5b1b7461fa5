// Package drill shows that an instance keeps its promises: it starts one of its own from the real binaries, puts load
// on it, upgrades it, rolls it back, kills parts of it, and looks at every row and every connection afterwards.
//
//	Packages ──▶ instance in a temporary folder ──▶ scenarios, one after the other ──▶ Report
//	                 ▲
//	   probe, load, keep-alive connections, a crowd: clients that never retry and never reconnect, but after a kill
//
// A scenario measures times and checks invariants. A time that misses its goal is told and no more, since a machine may
// be slow or busy. An invariant that does not hold (a failed request, a lost or doubled visit, a connection that was
// not kept, a version that should not serve) makes the drill fail.
package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/theseusd/theseus/upgrades/trust"
)

// Options of Run.
type Options struct {
	Theseusd string       // path of the binary
	Packages Packages     // what is upgraded
	Reltool  string       // path of the binary, for the scenario dev
	Source   string       // a folder with the source of visits 2.0.0, which that scenario changes
	Sizes    []int        // rows at which the pause is measured; 1k, 100k and 1M if empty
	Rows     int          // of the scenarios that look at every row; the largest of Sizes if 0, but at most 1M
	Reps     int          // upgrades and rollbacks at each size; 5 if 0
	Quick    bool         // compare with one window without an upgrade at each size, not with one for each upgrade
	Rate     int          // rows written a second beside the probe; 50,000 if 0
	Upgrades int          // under open connections; 20 if 0
	Clients  int          // of the chat; 1,000 if 0. For every ten of them a room crashes.
	Only     []string     // names of scenarios; all if empty
	Say      func(string) // is told what goes on; may be nil
}

// Packages are the package files that a drill needs.
type Packages struct {
	Visits1, Visits2, VisitsBad string    // 1.0.0, 2.0.0 and 2.0.1-bad
	Processes1, Processes2      string    // visits 1.0.0 and 2.0.0 with a process for each user
	Cache1, Cache2              string    // two versions that differ in nothing else
	Chat1, Chat2                string    // likewise
	Key                         trust.Key // that has signed them
}

func (o Options) withDefaults() Options {
	if len(o.Sizes) == 0 {
		o.Sizes = []int{1000, 100_000, 1_000_000}
	}
	o.Rows = or(o.Rows, min(1_000_000, slices.Max(o.Sizes)))
	o.Reps = or(o.Reps, 5)
	o.Rate = or(o.Rate, 50_000)
	o.Upgrades = or(o.Upgrades, 20)
	o.Clients = or(o.Clients, 1000)
	if o.Say == nil {
		o.Say = func(string) {}
	}
	return o
}

func or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// scenario is one line of the table that a drill prints.
type scenario struct {
	name string
	run  func(context.Context, *drill) error
}

var scenarios = []scenario{
	{"start", start},
	{"connections", connections},
	{"pause", pauses},
	{"processes", processes},
	{"keys", keys},
	{"chat", chat},
	{"rows", rows},
	{"bad", bad},
	{"kill-service", killService},
	{"kill-new", killNew},
	{"kill-daemon", killDaemon},
	{"dev", dev},
	{"daemon", replaceDaemon},
}

// Scenarios lists what Only may name.
func Scenarios() []string {
	names := make([]string, len(scenarios))
	for i, s := range scenarios {
		names[i] = s.name
	}
	return names
}

// drill is one run.
type drill struct {
	Options
	dir    string
	report *Report
	all    []*instance
	big    *instance // with Rows rows, shared by the scenarios that look at each
	ledger *ledger   // of big
	verify bool      // look at every row after the pauses
}

// Run does what the options say and tells what it saw. The error is about the drill itself; whether the instance kept
// its promises is in the report.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	o = o.withDefaults()
	dir, err := os.MkdirTemp("", "drill-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := &drill{Options: o, dir: dir, report: newReport()}
	defer func() { err = errors.Join(err, d.stop()) }()
	for _, s := range scenarios {
		if !o.wants(s.name) {
			continue
		}
		o.Say(s.name)
		if err := s.run(ctx, d); err != nil {
			return d.report, fmt.Errorf("drill: %s: %w", s.name, err)
		}
	}
	d.report.Took = time.Since(d.report.Started).Seconds()
	return d.report, nil
}

func (o Options) wants(name string) bool {
	for _, n := range o.Only {
		if n == name {
			return true
		}
	}
	return len(o.Only) == 0
}

// fresh starts an instance with visits 1.0.0, the cache and what else is wanted, in a folder of its own.
func (d *drill) fresh(ctx context.Context, name string, more ...string) (*instance, error) {
	packages := append([]string{d.Packages.Visits1, d.Packages.Cache1}, more...)
	in, err := startInstance(ctx, d.Theseusd, filepath.Join(d.dir, name), d.Packages.Key, packages...)
	if err == nil {
		d.all = append(d.all, in)
	}
	return in, err
}

// bigOne is the instance with Rows rows, loaded at its first use.
func (d *drill) bigOne(ctx context.Context) (*instance, *ledger, error) {
	if d.big != nil {
		return d.big, d.ledger, nil
	}
	in, err := d.fresh(ctx, "big")
	if err != nil {
		return nil, nil, err
	}
	d.big, d.ledger = in, newLedger(d.Rows)
	return in, d.ledger, fill(ctx, in.http, d.ledger)
}

// stop ends what a scenario has left running.
func (d *drill) stop() error {
	var errs []error
	for _, in := range d.all {
		errs = append(errs, in.stop())
	}
	return errors.Join(errs...)
}
