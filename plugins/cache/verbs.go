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
		{
			Name: "put", Args: "KEY VALUE", Short: "Set a key, for a time if you like", Do: c.putVerb,
			Flags: []sdk.Flag{{Name: "ttl", Arg: "DURATION", Short: "how long it lives, such as 30s; for ever if it is not there"}},
		},
		{Name: "get", Args: "KEY", Short: "Print the value of a key", Run: c.getVerb},
		{Name: "del", Args: "KEY...", Short: "Delete keys, print how many were there", Run: c.delVerb},
		{Name: "stats", Short: "Count the keys, and those that expired since the process began", Run: c.statsVerb},
	}
}

func (c *cache) putVerb(_ context.Context, call *sdk.Call) error {
	at := int64(0)
	if word, given := call.Flag("ttl"); given {
		ttl, err := time.ParseDuration(word)
		if err != nil || ttl < time.Millisecond {
			return sdk.Usagef("--ttl %s: want a duration of at least 1ms, such as 30s", word)
		}
		at = time.Now().Add(ttl).UnixMilli()
	}
	key, value := call.Args[0], []byte(call.Args[1])
	defer c.lock([]byte(key)).Unlock()
	err := c.put(key, value, at)
	if err == nil {
		call.Printf("ok")
	}
	return err
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
