package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/theseusd/theseus/sdk/fault"
	matrix "github.com/theseusd/theseus/upgrades/fault"
)

// report is what a run has found.
type report struct {
	cases, violations int
	found, plants     int
}

func (r report) String() string {
	return fmt.Sprintf("cases=%d violations=%d planted=%d/%d", r.cases, r.violations, r.found, r.plants)
}

func (r report) good() bool { return r.violations == 0 && r.found == r.plants && r.cases > 0 }

// runner goes from the traces to the cases.
type runner struct {
	options
	fleet *fleet

	mu      sync.Mutex // of all below
	reached map[fault.Point]bool
	seen    map[string][]matrix.Seen // by scenario
	cases   []matrix.Case
	again   []matrix.Case
	report  report
	missed  int // cases whose instant did not come
	total   int
	slow    []slow
	used    time.Duration
	told    time.Time
	began   time.Time
}

func run(ctx context.Context, o options) (rep report, err error) {
	dir, err := os.MkdirTemp("", "cr")
	if err != nil {
		return rep, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r := &runner{options: o, reached: map[fault.Point]bool{}, seen: map[string][]matrix.Seen{}, began: time.Now()}
	r.say("seed %d: building", o.seed)
	y, err := build(ctx, o.root, dir, nil)
	if err != nil {
		return rep, err
	}
	r.fleet = &fleet{yard: y, seed: o.seed, dir: dir, keep: o.keep}
	if o.only != "" {
		return r.one(ctx)
	}
	if err := r.matrix(ctx); err != nil {
		return r.report, err
	}
	if o.plants {
		r.report.plants = len(plants)
		if r.report.found, err = r.plant(ctx, dir); err != nil {
			return r.report, err
		}
	}
	return r.report, nil
}

func (r *runner) say(format string, args ...any) {
	fmt.Fprintf(r.out, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// one runs the case that was asked for.
func (r *runner) one(ctx context.Context) (report, error) {
	c, err := matrix.ParseCase(r.only)
	if err != nil {
		return r.report, err
	}
	r.total = 1
	err = r.fleet.run(ctx, 1, []job{{Case: c, done: func(o outcome) { r.judge(c, o) }}})
	return r.report, err
}

// matrix traces the scenarios, then the recoveries of the heads, and runs all cases, or a sample.
func (r *runner) matrix(ctx context.Context) error {
	before := cpu()
	if err := r.traces(ctx); err != nil {
		return err
	}
	match, err := regexp.Compile(r.match)
	if err != nil {
		return err
	}
	heads, rest := matrix.Heads(r.cases), r.cases
	if r.options.cases > 0 || r.match != "" {
		heads = matrix.Sample(heads, max(r.options.cases/16, 1), r.seed)
	}
	r.say("%d cases; tracing %d recoveries", len(rest), len(heads))
	r.total = len(heads)
	if err := r.recoveries(ctx, heads); err != nil {
		return err
	}
	if names := matrix.Missing(r.reached); len(names) > 0 {
		return fmt.Errorf("no trace goes through %v", names)
	}
	done := map[string]bool{}
	for _, c := range heads {
		done[c.String()] = true
	}
	list := slices.DeleteFunc(append(rest, r.again...), func(c matrix.Case) bool { return done[c.String()] || !match.MatchString(c.String()) })
	n := 0
	if r.options.cases > 0 {
		n = max(r.options.cases-len(heads), 1)
	}
	list = matrix.Sample(list, n, r.seed)
	r.total, list = r.total+len(list), slices.Clip(list)
	r.say("%d cases, %d of them fall twice", r.total, len(r.again))
	err = r.fleet.run(ctx, r.jobs, r.judged(list))
	r.used = cpu() - before
	r.summary()
	return err
}

func (r *runner) judged(list []matrix.Case) (jobs []job) {
	for _, c := range list {
		jobs = append(jobs, job{Case: c, done: func(o outcome) { r.judge(c, o) }})
	}
	return jobs
}

// traces runs each scenario without a shot and makes the cases of what it went through.
func (r *runner) traces(ctx context.Context) error {
	var jobs []job
	for _, s := range scenarios {
		done := func(o outcome) { r.traced(s, o) }
		jobs = append(jobs, job{Case: matrix.Case{Scenario: s.name}, trace: true, done: done})
	}
	r.say("tracing %d scenarios", len(jobs))
	err := r.fleet.run(ctx, r.jobs, jobs)
	if err == nil && r.report.violations > 0 {
		err = errors.New("a scenario fails although nobody falls")
	}
	for _, s := range scenarios {
		r.cases = append(r.cases, matrix.Matrix(s.name, matrix.Fresh(r.seen[s.name], r.seen[s.like]))...)
	}
	return err
}

func (r *runner) traced(s scenario, o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o.err != nil {
		r.violation(matrix.Case{Scenario: s.name}, o)
		return
	}
	r.reach(o.lines)
	r.seen[s.name] = matrix.Spots(o.lines, s.role, s.loser())
}

func (r *runner) reach(lines []matrix.Line) {
	for _, l := range lines {
		r.reached[matrix.PointOf(l.Point)] = true
	}
}

// recoveries runs the heads and makes the cases that fall again in their recovery.
func (r *runner) recoveries(ctx context.Context, heads []matrix.Case) error {
	var jobs []job
	for _, c := range heads {
		jobs = append(jobs, job{Case: c, trace: true, done: func(o outcome) {
			r.judge(c, o)
			s, err := scenarioOf(c.Scenario)
			if err != nil || o.err != nil {
				return
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.reach(o.lines)
			r.again = append(r.again, matrix.Again(c, o.lines, s.role)...)
		}})
	}
	return r.fleet.run(ctx, r.jobs, jobs)
}

// judge counts a case and tells what is wrong.
func (r *runner) judge(c matrix.Case, o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.cases++
	r.note(c, o.took)
	if o.hit < len(c.Shots) {
		r.missed++
	}
	if o.err != nil {
		r.violation(c, o)
	}
	if time.Since(r.told) > tellEvery || r.report.cases == r.total {
		r.told = time.Now()
		r.say("%d of %d cases in %s, %d violations, %d instants did not come", r.report.cases, r.total,
			time.Since(r.began).Round(time.Second), r.report.violations, r.missed)
	}
}

const tellEvery = 10 * time.Second

func (r *runner) violation(c matrix.Case, o outcome) {
	r.report.violations++
	r.say("VIOLATION in %s\n    %v\n    its instance is in %s\n    again: make crash SEED=%d CASE='%s'", c, o.err, o.dir, r.seed, c)
}

// cpu is what this process and those that have ended below it have used of the processors.
func cpu() (used time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			used += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return used
}

// slow is a case and how long it took.
type slow struct {
	matrix.Case
	took time.Duration
}

const slowest = 5 // that are told

// note keeps the slowest cases.
func (r *runner) note(c matrix.Case, took time.Duration) {
	r.slow = append(r.slow, slow{c, took})
	slices.SortFunc(r.slow, func(a, b slow) int { return int(b.took - a.took) })
	r.slow = r.slow[:min(len(r.slow), slowest)]
}

// summary tells what the cases cost.
func (r *runner) summary() {
	r.say("%.2f s of processors and %.1f s in all for each case; %d instants did not come; the slowest:",
		r.used.Seconds()/float64(max(r.report.cases, 1)), time.Since(r.began).Seconds()/float64(max(r.report.cases, 1)), r.missed)
	for _, s := range r.slow {
		r.say("    %5.1f s  %s", s.took.Seconds(), s.Case)
	}
}
