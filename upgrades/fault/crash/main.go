// Command crash runs the matrix of upgrades/fault: it traces what real upgrades do, lets processes fall at every instant
// of it, and looks at what is left. `make crash` runs all of it, `make test` a sample.
//
//	build ──▶ trace each scenario ──▶ cases ──▶ instances, side by side ──▶ what they are after each case
//
// An instance goes on to the next case when it is whole after one; that is what a case is about:
//   - every acknowledged write is there, none was counted twice, and no answer was older than an earlier one, be it a row
//     or a process that counts; each process still bears its name, and mail and timers count once;
//   - the journal says how the upgrade ended, once; what it says, what status says and what answers are the same;
//   - a further crash of the daemon changes nothing of it (after each recovery, and each fourth case without one);
//   - no process, file, socket or descriptor is left over;
//   - the same upgrade then succeeds.
//
// An instance that is not whole stays as it is for inspection, and another one takes its place.
//
//	go run ./upgrades/fault/crash -seed 7 -cases 200
//	go run ./upgrades/fault/crash -seed 7 -case 'up,new@service.armed~committed:1,all,kill'
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are what a run may be told.
type options struct {
	root   string // the checkout
	seed   uint64
	cases  int    // all if 0
	only   string // one case
	match  string // cases that this regular expression fits
	jobs   int    // instances side by side
	keep   string // folder for what failed
	plants bool   // look whether planted bugs are found
	out    io.Writer
}

func main() {
	o := options{out: os.Stdout, root: "."}
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano())%1_000_000, "decides the order, the sample and the waits")
	flag.IntVar(&o.cases, "cases", 0, "take a sample of so many; 0 is all")
	flag.StringVar(&o.only, "case", "", "run this one case")
	flag.StringVar(&o.match, "match", "", "run those cases only that this regular expression fits")
	flag.IntVar(&o.jobs, "jobs", 18, "instances side by side")
	flag.StringVar(&o.keep, "keep", os.TempDir(), "folder for the instances of cases that failed")
	flag.BoolVar(&o.plants, "plants", true, "also look whether planted bugs are found")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	r, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
	fmt.Println(r)
	if !r.good() {
		os.Exit(1)
	}
}
