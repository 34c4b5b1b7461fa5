// Command cache keeps keys and values, each for a time, and speaks Redis' protocol; any Redis client will do.
//
//	redis-cli -p 6380 SET user:42 active EX 30
//	cache put user:42 active --ttl 30s          ok
//
// The keys live in the state log, so neither a crash nor an upgrade empties the cache.
package main

import (
	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/state"
)

const version = "1.0.0"

var schema = state.Schema[[]byte]{Name: "entry", Version: 1}

func main() { sdk.Main(sdk.Service{Name: "cache", Version: version, Setup: setup}) }

func setup(s *sdk.Setup) error {
	c := newCache(state.NewTable(s, "entries", schema))
	s.RESP("resp", c.serve)
	for _, v := range c.verbs() {
		s.Verb(v)
	}
	return nil
}
