package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/theseusd/theseus/sdk"
)

func (c *cache) verbs() []sdk.Verb {
	return []sdk.Verb{
		{Name: "put", Args: "KEY VALUE [--ttl DURATION]", Short: "Set a key, for a time if you like", Run: c.putVerb},
		{Name: "get", Args: "KEY", Short: "Print the value of a key", Run: c.getVerb},
		{Name: "del", Args: "KEY...", Short: "Delete keys, print how many were there", Run: c.delVerb},
		{Name: "stats", Short: "Count the keys, and those that expired since the process began", Run: c.statsVerb},
	}
}

func (c *cache) putVerb(_ context.Context, args []string) (string, error) {
	ttl, words, err := parseTTL(args)
	if err != nil {
		return "", err
	}
	if len(words) != 2 {
		return "", sdk.Usagef("want a key and a value")
	}
	at := int64(0)
	if ttl > 0 {
		at = time.Now().Add(ttl).UnixMilli()
	}
	defer c.lock([]byte(words[0])).Unlock()
	return "ok", c.put(words[0], []byte(words[1]), at)
}

// parseTTL takes --ttl out of the arguments, wherever it stands; 0 is for ever.
func parseTTL(args []string) (ttl time.Duration, words []string, err error) {
	for i := 0; i < len(args); i++ {
		if args[i] != "--ttl" {
			words = append(words, args[i])
			continue
		}
		if i++; i == len(args) {
			return 0, nil, sdk.Usagef("--ttl wants a duration, such as 30s")
		}
		if ttl, err = time.ParseDuration(args[i]); err != nil || ttl < time.Millisecond {
			return 0, nil, sdk.Usagef("--ttl %s: want a duration of at least 1ms, such as 30s", args[i])
		}
	}
	return ttl, words, nil
}

var errNoKey = errors.New("no such key")

func (c *cache) getVerb(_ context.Context, args []string) (string, error) {
	value, ok, err := c.rows.Lookup(args[0])
	if err == nil && !ok {
		err = errNoKey
	}
	return string(value), err
}

func (c *cache) delVerb(_ context.Context, args []string) (string, error) {
	n := 0
	for _, key := range args {
		gone, err := c.delete([]byte(key))
		if err != nil {
			return "", err
		}
		if gone {
			n++
		}
	}
	return fmt.Sprint(n), nil
}

func (c *cache) statsVerb(context.Context, []string) (string, error) {
	return fmt.Sprintf("entries=%d evictions=%d", c.rows.Len(), c.rows.Expired()), nil
}
