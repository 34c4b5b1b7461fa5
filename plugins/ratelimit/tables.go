package main

import (
	"github.com/theseusd/theseus/plugins/ratelimit/internal/limit"
	"github.com/theseusd/theseus/sdk/state"
)

// tables hold what was used, one for each algorithm. The key of a row is the policy's name, a zero byte and the key that
// was asked for; a row expires when it says no more than no row would. Its layout is that of package limit.
type tables [len(tableNames)]*state.Table[[]byte]

var tableNames = [...]string{
	limit.GCRA: "gcra", limit.SlidingWindow: "windows", limit.Quota: "quotas", limit.Concurrency: "leases",
}

func newTables(r state.Registrar) (t tables) {
	for i, name := range tableNames {
		t[i] = state.NewTable(r, name, state.Schema[[]byte]{Name: name, Version: 1})
	}
	return t
}
