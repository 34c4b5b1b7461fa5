package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/theseusd/theseus/plugins/cache/internal/glob"
)

// settings are those of Redis that clients ask for, with what they are here. None can be changed.
var settings = []struct{ name, value string }{
	{"appendonly", "no"},
	{"databases", "1"},
	{"maxclients", "10000"},
	{"maxmemory", "0"},
	{"maxmemory-policy", "noeviction"},
	{"notify-keyspace-events", ""},
	{"proto-max-bulk-len", "536870912"},
	{"save", ""},
	{"timeout", "0"},
}

var configWords = map[string]int{"get": 1, "set": 2, "resetstat": 0, "rewrite": 0}

// config is CONFIG with its subcommands.
func (c *cache) config(q *call) error {
	args := q.args[2:]
	switch sub := strings.ToLower(string(q.args[1])); sub {
	case "get":
		if len(args) == 0 {
			return errArity("config|get")
		}
		q.answerSettings(args)
	case "set":
		if len(args) < 2 || len(args)%2 != 0 {
			return errArity("config|set")
		}
		return failure(fmt.Sprintf("ERR Unknown option or number of arguments for CONFIG SET - '%.128s'", args[0]))
	case "resetstat":
		c.spaces.resetCounts()
		q.ok()
	case "rewrite":
		return failure("ERR The server is running without a config file")
	case "help":
		q.help("CONFIG", configWords)
	default:
		return errSubcommand(q)
	}
	return nil
}

func (q *call) answerSettings(patterns [][]byte) {
	var fit []int
	for i, s := range settings {
		for _, p := range patterns {
			if glob.Match([]byte(strings.ToLower(string(p))), []byte(s.name)) {
				fit = append(fit, i)
				break
			}
		}
	}
	q.dict(len(fit))
	for _, i := range fit {
		q.pair(settings[i].name, settings[i].value)
	}
}

// time answers seconds and microseconds since 1970.
func (c *cache) time(q *call) error {
	now := time.Now().UnixMicro()
	q.strings([]string{fmt.Sprint(now / 1e6), fmt.Sprint(now % 1e6)})
	return nil
}
