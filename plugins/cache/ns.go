package main

import (
	"bytes"
	"fmt"
	"strings"
)

// maxName is how long a namespace's name may be.
const maxName = 128

var namespaceWords = map[string]int{"set": 1, "get": 1, "list": 0, "del": 1, "stats": 1, "flush": 1}

// namespace is CACHE.NS with its subcommands.
func (c *cache) namespace(q *call) error {
	sub := strings.ToLower(string(q.args[1]))
	args := q.args[2:]
	switch arity, known := namespaceWords[sub]; {
	case sub == "help":
		q.help("CACHE.NS", namespaceWords)
		return nil
	case !known:
		return errSubcommand(q)
	case sub == "set" && len(args) == 0, sub != "set" && len(args) != arity && !(sub == "stats" && len(args) == 0):
		return errArity("cache.ns|" + sub)
	}
	switch sub {
	case "set":
		return c.makeSpace(q, args)
	case "list":
		q.array(len(c.spaces.every()) - 1)
		for _, s := range c.spaces.every()[1:] {
			q.text(s.name)
		}
		return nil
	case "stats":
		return c.tellStats(q, args)
	case "del":
		gone, err := c.dropSpace(string(args[0]), q.exec)
		return q.boolIf(gone, err)
	}
	s := c.spaces.get(string(args[0]))
	if s == nil {
		return errNamespace
	}
	if sub == "flush" {
		n, err := c.removeAll(q.exec, func(key string) bool { return c.spaces.of([]byte(key)) == s })
		return q.intIf(n, err)
	}
	q.tellConfig(s.Config)
	return nil
}

func (q *call) tellConfig(cfg Config) {
	q.dict(5)
	q.count("ttl_ms", cfg.TTL)
	q.pair("sliding", yesNo(cfg.Sliding))
	q.pair("keep", string(cfg.Keep))
	q.count("max_entries", cfg.MaxEntries)
	q.count("max_bytes", cfg.MaxBytes)
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// tellStats answers the counts of one namespace, or of all together.
func (c *cache) tellStats(q *call, args [][]byte) error {
	all := c.spaces.every()
	if len(args) > 0 {
		s := c.spaces.get(string(args[0]))
		if s == nil {
			return errNamespace
		}
		all = []*space{s}
	}
	st := Stats{}
	for _, s := range all {
		st.add(c.spaces.stats(s))
	}
	q.dict(7)
	for _, line := range st.lines() {
		q.count(line.name, line.n)
	}
	return nil
}

// makeSpace is CACHE.NS SET NAME [EX s | PX ms] [SLIDING] [DURABLE|VOLATILE|DROP] [MAXENTRIES n | MAXBYTES n].
func (c *cache) makeSpace(q *call, args [][]byte) error {
	cfg, err := parseConfig(args[1:])
	if err != nil {
		return err
	}
	if err := checkName(args[0]); err != nil {
		return err
	}
	return q.okIf(c.setSpace(string(args[0]), cfg, q.exec))
}

func checkName(name []byte) error {
	if len(name) == 0 || len(name) > maxName || bytes.IndexByte(name, ':') >= 0 {
		return failure(fmt.Sprintf("ERR a namespace has a name of 1 to %d bytes without a colon", maxName))
	}
	return nil
}

func parseConfig(words [][]byte) (cfg Config, err error) {
	cfg.Keep = Volatile
	for i := 0; i < len(words) && err == nil; i++ {
		word := strings.ToUpper(string(words[i]))
		number := words[i+1:]
		switch word {
		case "SLIDING":
			cfg.Sliding = true
		case "DURABLE", "VOLATILE", "DROP":
			cfg.Keep = Keep(strings.ToLower(word))
		case "EX", "PX", "MAXENTRIES", "MAXBYTES":
			if len(number) == 0 {
				return cfg, errSyntax
			}
			i++
			err = cfg.set(word, number[0])
		default:
			return cfg, errSyntax
		}
	}
	if err == nil {
		err = cfg.check()
	}
	return cfg, err
}

func (cfg *Config) set(word string, number []byte) error {
	n, err := parseInt(number)
	if err != nil {
		return err
	}
	if n <= 0 || n > 1<<53 {
		return errInteger
	}
	switch word {
	case "EX":
		cfg.TTL = n * 1000
	case "PX":
		cfg.TTL = n
	case "MAXENTRIES":
		cfg.MaxEntries = n
	case "MAXBYTES":
		cfg.MaxBytes = n
	}
	return nil
}

func (cfg *Config) check() error {
	switch {
	case cfg.MaxEntries > 0 && cfg.MaxBytes > 0:
		return errBounds
	case cfg.Sliding && cfg.TTL == 0:
		return errSliding
	}
	return nil
}
