package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/theseusd/theseus/plugins/cache/internal/entry"
	"github.com/theseusd/theseus/plugins/cache/internal/glob"
	"github.com/theseusd/theseus/sdk"
)

// tableVerbs are those about all keys.
func (c *cache) tableVerbs() []sdk.Verb {
	return []sdk.Verb{
		{
			Name: "scan", Args: "[PATTERN]", Short: "Print the keys that fit a pattern, all if there is none", Do: c.scanVerb, Flags: []sdk.Flag{asJSON},
			Examples: "cache scan 'user:*'",
		},
		{
			Name: "dump", Args: "[PATTERN]", Short: "Print keys with their values, ends and tags, one a line, for load", Do: c.dumpVerb,
			Examples: "cache dump > cache.jsonl\ncache dump 'user:*'",
		},
		{
			Name: "load", Args: "[-]", Short: "Set the keys of a dump, which comes on standard input", Do: c.loadVerb, Input: true,
			Examples: "cache load < cache.jsonl\ncache dump 'user:*' | cache --dir /other/instance load",
		},
		{
			Name: "stats", Short: "Count the keys, and those that had to go as there was no room", Do: c.statsVerb, Flags: []sdk.Flag{asJSON},
			Examples: "cache stats\ncache stats --json",
		},
		benchVerb(c),
	}
}

// eachKey calls f with every key that fits, and what is there. It holds no lock.
func (c *cache) eachKey(ctx context.Context, args []string, f func(key string, it item) error) error {
	for _, k := range order {
		var failed error
		err := c.spaces.tables[k].Range(func(key string, _ []byte) bool {
			if len(args) > 0 && !glob.Match([]byte(args[0]), []byte(key)) {
				return true
			}
			it, ok, err := c.peek([]byte(key))
			if err == nil && ok {
				err = f(key, it)
			}
			failed = errors.Join(err, context.Cause(ctx))
			return failed == nil
		})
		if err = errors.Join(err, failed); err != nil {
			return err
		}
	}
	return nil
}

func (c *cache) scanVerb(ctx context.Context, call *sdk.Call) error {
	keys := []string{}
	whole := call.Given("json")
	err := c.eachKey(ctx, call.Args, func(key string, _ item) error {
		if whole {
			keys = append(keys, key)
		} else {
			call.Printf("%s\n", key)
		}
		return nil
	})
	if err != nil || !whole {
		return err
	}
	slices.Sort(keys)
	return call.JSON(keys)
}

// dumped is a key in a dump. Keys and values are bytes, so they are in base64; the end is an instant, so that time goes
// on while a dump lies around.
type dumped struct {
	Key   []byte     `json:"key"`
	Value []byte     `json:"value,omitempty"`
	Hash  []pairText `json:"hash,omitempty"`
	Until int64      `json:"until_ms,omitempty"`
	TTL   int64      `json:"ttl_ms,omitempty"`
	Tags  []string   `json:"tags,omitempty"`
}

type pairText [2][]byte

func (c *cache) dumpVerb(ctx context.Context, call *sdk.Call) error {
	return c.eachKey(ctx, call.Args, func(key string, it item) error {
		d := dumped{Key: []byte(key), Until: it.until, TTL: it.TTL, Tags: it.Tags}
		if it.Kind == entry.String {
			d.Value = it.Payload
			return call.JSON(d)
		}
		fs, err := entry.ParseFields(it.Payload)
		for _, f := range fs.All {
			d.Hash = append(d.Hash, pairText{f.Name, f.Value})
		}
		return errors.Join(err, call.JSON(d))
	})
}

func (c *cache) loadVerb(ctx context.Context, call *sdk.Call) error {
	if len(call.Args) > 0 && call.Args[0] != "-" {
		return sdk.Usagef("load reads standard input: cache load < %s", call.Args[0])
	}
	in := json.NewDecoder(call.Input)
	in.DisallowUnknownFields()
	for n := 0; ; n++ {
		var d dumped
		err := in.Decode(&d)
		if errors.Is(err, io.EOF) {
			call.Printf("loaded=%d\n", n)
			return nil
		}
		if err == nil {
			err = errors.Join(c.put(d), context.Cause(ctx))
		}
		if err != nil {
			return fmt.Errorf("key %d: %w; the %d before it are loaded", n+1, err, n)
		}
	}
}

// put stores a key of a dump. One that has ended meanwhile is left out.
func (c *cache) put(d dumped) error {
	it := item{until: d.Until, Entry: entry.Entry{TTL: d.TTL, Payload: d.Value}}
	if len(d.Hash) > 0 {
		var fs entry.Fields
		for _, p := range d.Hash {
			fs.Set(p[0], p[1])
		}
		it.Kind, it.Payload = entry.Hash, fs.Payload()
	}
	return c.alone(string(d.Key), func(key []byte) error {
		err := c.store(key, it)
		if err == nil && len(d.Tags) > 0 {
			_, err = c.addTags(key, texts(d.Tags))
		}
		return err
	})
}

func texts(list []string) (all [][]byte) {
	for _, text := range list {
		all = append(all, []byte(text))
	}
	return all
}

func (c *cache) statsVerb(_ context.Context, call *sdk.Call) error {
	sum := c.spaces.total()
	if !call.Given("json") {
		call.Printf("entries=%d evictions=%d\n", c.spaces.entries(), sum.Evicted)
		return nil
	}
	answer := struct {
		Stats
		Namespaces []Stats `json:"namespaces"`
	}{}
	for _, s := range c.spaces.every() {
		st := c.spaces.stats(s)
		answer.add(st)
		answer.Namespaces = append(answer.Namespaces, st)
	}
	return call.JSON(answer)
}

// spaceVerbs are those about namespaces.
func (c *cache) spaceVerbs() []sdk.Verb {
	return []sdk.Verb{{
		Name: "ns", Args: "[NAME]", Short: "Show namespaces, or make, change or end one", Do: c.spaceVerb,
		Flags: []sdk.Flag{
			{Name: "set", Short: "make the namespace, or change it to what the other flags say"},
			{Name: "del", Short: "end the namespace; keys that are kept volatile go on without one"},
			{Name: "flush", Short: "delete its keys"},
			ttlFlag,
			{Name: "sliding", Short: "a read begins a key's time to live again"},
			{Name: "keep", Arg: "WAY", Short: "what keys outlive: a loss of power, the process, or nothing", Values: []string{"durable", "volatile", "drop"}},
			{Name: "max-entries", Arg: "N", Short: "bound: so many keys"},
			{Name: "max-bytes", Arg: "N", Short: "bound: so many bytes of keys and values"},
			asJSON,
		},
		Examples: "cache ns\ncache ns session --set --ttl 30m --sliding\ncache ns pages --set --keep drop --max-bytes 100000000\ncache ns session --flush",
	}}
}

func (c *cache) spaceVerb(_ context.Context, call *sdk.Call) error {
	is := func(flag string) bool { _, given := call.Flag(flag); return given }
	if len(call.Args) == 0 {
		return c.listSpaces(call, c.spaces.every(), is("json"))
	}
	name := call.Args[0]
	s := c.spaces.get(name)
	switch {
	case is("set"):
		return c.spaceSet(call, name)
	case s == nil:
		return errors.New("no such namespace")
	case is("del"):
		_, err := c.dropSpace(name, false)
		return said(call, err)
	case is("flush"):
		_, err := c.removeAll(false, func(key string) bool { return c.spaces.of([]byte(key)) == s })
		return said(call, err)
	}
	return c.listSpaces(call, []*space{s}, is("json"))
}

func said(call *sdk.Call, err error) error {
	if err == nil {
		call.Printf("ok\n")
	}
	return plainText(err)
}

func (c *cache) spaceSet(call *sdk.Call, name string) error {
	ttl, _, err := parseTTL(call)
	if err != nil {
		return err
	}
	cfg := Config{TTL: ttl, Keep: Volatile}
	if keep, given := call.Flag("keep"); given {
		cfg.Keep = Keep(keep)
	}
	_, cfg.Sliding = call.Flag("sliding")
	for flag, word := range map[string]string{"max-entries": "MAXENTRIES", "max-bytes": "MAXBYTES"} {
		if n, given := call.Flag(flag); given {
			if err := cfg.set(word, []byte(n)); err != nil {
				return sdk.Usagef("--%s %s: want a number above 0", flag, n)
			}
		}
	}
	if err = errors.Join(cfg.check(), checkName([]byte(name))); err != nil {
		return sdk.Usagef("%v", plainText(err))
	}
	return said(call, c.setSpace(name, cfg, false))
}

// listed is a namespace for people and programs.
type listed struct {
	Stats
	Config
}

func (c *cache) listSpaces(call *sdk.Call, all []*space, whole bool) error {
	list := make([]listed, 0, len(all))
	for _, s := range all {
		list = append(list, listed{c.spaces.stats(s), s.Config})
	}
	if whole {
		return call.JSON(list)
	}
	for _, l := range list {
		name := l.Name
		if name == "" {
			name = "(none)"
		}
		call.Printf("%s ttl=%v sliding=%v keep=%s entries=%d bytes=%d hits=%d misses=%d expired=%d evicted=%d\n", name,
			time.Duration(l.TTL)*time.Millisecond, l.Sliding, l.Keep, l.Entries, l.Bytes, l.Hits, l.Misses, l.Expired, l.Evicted)
	}
	return nil
}
