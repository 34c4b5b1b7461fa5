// Command cache keeps keys and values, each for a time, and speaks Redis' protocol; any Redis client will do.
//
//	redis-cli -p 6380 SET user:42 active EX 30
//	cache put user:42 active --ttl 30s          ok
//
// The keys live in the state log, so neither a crash nor an upgrade empties the cache, and connections, transactions and
// subscriptions go on in the next version. README.md says what outlives what.
package main

import (
	"github.com/theseusd/theseus/plugins/cache/internal/entry"
	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/serve/resp"
	"github.com/theseusd/theseus/sdk/state"
)

const version = "1.1.0"

// schema is that of every table with values. Version 1 had strings alone, as they are.
var schema = state.Schema[[]byte]{Name: "entry", Version: 2, Steps: []state.AnyStep{
	state.Step[[]byte, []byte]{
		From: 1,
		Up:   func(_ string, old, kept []byte) ([]byte, error) { return entry.Up(old, kept), nil },
		Down: func(_ string, row []byte) (old, keep []byte, err error) { return entry.Down(row) },
	},
}}

var service = sdk.Service{Name: "cache", Version: version, Setup: setup}

func main() { sdk.Main(service) }

func setup(s *sdk.Setup) error { return newCache(s.Log()).setup(s) }

func (c *cache) setup(s *sdk.Setup) error {
	c.spaces.open(s)
	c.tags = newTags(s)
	s.Ready(c.spaces.load)
	s.Ready(c.tags.load)
	s.Go(c.spaces.run)
	s.Go(c.sweepTags)
	s.RESPServer("resp", resp.Server{Handle: c.serve, Resume: c.resume, Closed: c.closed})
	for _, v := range c.verbs() {
		s.Verb(v)
	}
	return nil
}
