package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	matrix "github.com/theseusd/theseus/upgrades/fault"
)

// job is a case to be run, and perhaps to be traced.
type job struct {
	matrix.Case
	trace bool
	done  func(outcome)
}

// outcome is how it went.
type outcome struct {
	hit   int
	took  time.Duration // until the instance was whole again
	lines []matrix.Line
	err   error
	dir   string // where the instance lies that is not whole
}

// fleet runs jobs on instances side by side. Those that begin with the version that an instance has come first there.
type fleet struct {
	yard *yard
	seed uint64
	dir  string // of the instances
	keep string // of those that are not whole

	mu    sync.Mutex
	jobs  map[string][]job // by the version that they begin with
	count int              // of instances so far
	stop  bool             // no more cases are wanted
}

// run does all jobs, with n instances.
func (f *fleet) run(ctx context.Context, n int, jobs []job) error {
	f.jobs = map[string][]job{}
	for _, j := range jobs {
		s, err := scenarioOf(j.Scenario)
		if err != nil {
			return err
		}
		f.jobs[s.from] = append(f.jobs[s.from], j)
	}
	errs := make([]error, min(n, len(jobs)))
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = f.work(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// work runs jobs one after another.
func (f *fleet) work(ctx context.Context) (err error) {
	w := &worker{fleet: f, version: one}
	defer func() { err = errors.Join(err, w.close()) }()
	for ctx.Err() == nil {
		j, ok := f.next(w.version)
		if !ok {
			return nil
		}
		if err := w.ready(ctx); err != nil {
			return fmt.Errorf("no instance: %w", err)
		}
		j.done(w.do(ctx, j))
		if w.in != nil && w.in.tags >= worn {
			if err := w.close(); err != nil {
				return err
			}
		}
	}
	return context.Cause(ctx)
}

// worn is after how many cases an instance is replaced: each daemon reads a journal that grows.
const worn = 50

// next takes a job, if possible one that begins with the version.
func (f *fleet) next(version string) (j job, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stop {
		return j, false
	}
	for _, v := range []string{version, one, two} {
		if list := f.jobs[v]; len(list) > 0 {
			f.jobs[v] = list[1:]
			return list[0], true
		}
	}
	return j, false
}

// enough has the workers end after the case that they are at.
func (f *fleet) enough() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stop = true
}

// worker has one instance at a time.
type worker struct {
	*fleet
	in      *instance
	version string // that serves
}

// ready starts an instance if there is none.
func (w *worker) ready(ctx context.Context) (err error) {
	if w.in != nil {
		return nil
	}
	w.mu.Lock()
	w.count++
	dir := filepath.Join(w.dir, fmt.Sprint("i", w.count))
	w.mu.Unlock()
	w.in, err = w.yard.start(ctx, dir)
	w.version = one
	return err
}

// do runs one case. An instance that is not whole after it is given up.
func (w *worker) do(ctx context.Context, j job) (o outcome) {
	s, err := scenarioOf(j.Scenario)
	if err == nil && w.version != s.from {
		if err = w.in.play(ctx, scenario{from: w.version, to: s.from}); err == nil {
			err = w.in.whole(ctx, true)
		}
	}
	if err == nil {
		r := w.in.round(s, j.Case, w.seed)
		if j.trace {
			r.trace = w.in.faults("trace-" + r.tag)
		}
		err = r.run(ctx)
		o.hit, o.took = r.hit, r.took
		if err == nil && j.trace {
			o.lines, err = r.lines()
		}
	}
	if err == nil {
		var list []entry
		list, err = w.in.records()
		w.version = w.in.serving(list)
	}
	if err != nil && ctx.Err() == nil {
		o.err = err
		o.dir = w.putAway()
	}
	return o
}

// putAway ends an instance that is not whole and keeps its files.
func (w *worker) putAway() (dir string) {
	in := w.in
	w.in = nil
	in.silence()
	_ = in.bell.close() // nobody listens any more
	in.Close()
	in.destroy()
	dir, err := os.MkdirTemp(w.keep, "crash-")
	if err == nil {
		err = os.Rename(in.dir, filepath.Join(dir, "i"))
	}
	if err != nil {
		return fmt.Sprintf("no place: %v", err)
	}
	return filepath.Join(dir, "i")
}

// close ends the instance.
func (w *worker) close() error {
	if w.in == nil {
		return nil
	}
	in := w.in
	w.in, w.version = nil, one
	return errors.Join(in.end(), os.RemoveAll(in.dir))
}
