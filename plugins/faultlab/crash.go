package main

import (
	"context"
	"errors"
	"os"
	"syscall"

	"github.com/theseusd/theseus/plugins/faultlab/internal/lab"
	"github.com/theseusd/theseus/sdk"
)

var crashFlags = []sdk.Flag{{
	Name: "fault", Arg: "FAULT", Short: "panic (default), exit, kill9, or hang: all of the process stands still",
	Values: []string{"panic", "exit", "kill9", "hang"},
}}

const crashExamples = `faultlab crash --fault kill9
reltool history --service faultlab --last 3`

// crash hurts the lab itself, a service under the daemon's own supervisor, once the answer is with the caller.
func crash(ctx context.Context, c *sdk.Call) error {
	fault, given := c.Flag("fault")
	if !given {
		fault = string(lab.Panic)
	}
	c.Printf("the lab itself, pid %d, is hurt: %s; the daemon's supervisor decides, and reltool history tells\n", os.Getpid(), fault)
	go func() {
		<-ctx.Done() // the caller has its answer
		hurt(lab.Fault(fault))
	}()
	return nil
}

var errOnPurpose = errors.New("the lab was asked to crash")

// hurt does a fault to this process.
func hurt(f lab.Fault) {
	switch f {
	case lab.Exit:
		os.Exit(3)
	case lab.Kill9:
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case lab.Hang:
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	default:
		panic(errOnPurpose)
	}
}
