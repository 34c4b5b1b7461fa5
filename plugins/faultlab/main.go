// Command faultlab crashes workers on purpose, under each strategy of a supervisor, and shows what happens.
//
//	faultlab run --strategy one_for_one          worker A crashed -> restarted
//	                                             worker B unaffected
//	faultlab run --crashes 40 --workers 5 --seed 7 --report lab.html
//
// The supervisor is the one of package sdk/supervise; the workers are processes of sdk/otp, goroutines or processes of the
// operating system. What it has seen lives in the state log, so an upgrade of the lab keeps its records.
package main

import (
	"fmt"
	"os"

	"github.com/theseusd/theseus/plugins/faultlab/internal/lab"
	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/state"
)

const version = "1.0.0"

func main() {
	if len(os.Args) > 1 && os.Args[1] == lab.WorkArg {
		os.Exit(lab.Work(os.Args[2:]))
	}
	sdk.Main(sdk.Service{Name: "faultlab", Version: version, Setup: setup})
}

func setup(s *sdk.Setup) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("faultlab: workers of level plugin are this program: %w", err)
	}
	l := newLaboratory(state.NewTable(s, "runs", schema), self)
	s.Verb(sdk.Verb{
		Name: "run", Short: "Crash workers on purpose and tell what happens", Flags: runFlags, Examples: runExamples, Do: l.run,
	})
	s.Verb(sdk.Verb{
		Name: "crash", Short: "Crash the lab itself, a service under the daemon's supervisor", Flags: crashFlags, Examples: crashExamples,
		Do: crash,
	})
	s.Verb(sdk.Verb{Name: "history", Short: "List the runs that are kept", Flags: historyFlags, Do: l.history})
	s.Verb(sdk.Verb{Name: "show", Args: "[RUN]", Short: "Tell a run again, the last one if none is named", Flags: showFlags, Do: l.show})
	return nil
}
