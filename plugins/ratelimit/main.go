// Command ratelimit says whether a call may go on: on the command line, over HTTP and in Redis' protocol.
//
//	ratelimit check user42                        allowed (remaining=9)
//	redis-cli -p 6382 CL.THROTTLE user42 9 10 60  0 10 9 -1 6
//
// What was used lies in the state log, so neither a crash nor an upgrade gives anybody a fresh start.
package main

import (
	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/state"
)

const version = "1.0.0"

func main() { sdk.Main(sdk.Service{Name: "ratelimit", Version: version, Setup: setup}) }

func setup(s *sdk.Setup) error {
	l := newLimiter(newTables(s), newPolicies())
	for _, v := range l.verbs() {
		s.Verb(v)
	}
	return nil
}

// rows of the algorithms are fixed binary layouts, which package limit documents.
func rows(name string) state.Schema[[]byte] { return state.Schema[[]byte]{Name: name, Version: 1} }
