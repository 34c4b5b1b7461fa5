package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/theseusd/theseus/plugins/cache/internal/entry"
	"github.com/theseusd/theseus/sdk"
)

var (
	asJSON  = sdk.Flag{Name: "json", Short: "answer as JSON"}
	ttlFlag = sdk.Flag{Name: "ttl", Arg: "DURATION", Short: "how long it lives, such as 30s; its namespace's time, or for ever, if it is not there"}
)

func (c *cache) verbs() []sdk.Verb {
	return append([]sdk.Verb{
		{
			Name: "put", Args: "KEY VALUE", Short: "Set a key, for a time if you like", Do: c.putVerb, Input: true, Flags: []sdk.Flag{ttlFlag},
			Examples: "cache put user:42 active --ttl 30s\ncache put page:1 - < page.html",
		},
		{
			Name: "get", Args: "KEY", Short: "Print the value of a key; a hash as JSON", Do: c.getVerb, Flags: []sdk.Flag{asJSON},
			Examples: "cache get user:42\ncache get user:42 --json",
		},
		{Name: "del", Args: "KEY...", Short: "Delete keys, print how many were there", Run: c.delVerb, Examples: "cache del user:42 user:43"},
		{
			Name: "touch", Args: "KEY", Short: "Let a key live as long again as it was given", Do: c.touchVerb, Flags: []sdk.Flag{ttlFlag},
			Examples: "cache touch session:7\ncache touch session:7 --ttl 1h",
		},
		{Name: "incr", Args: "KEY [BY]", Short: "Add to a number, print the sum", Run: c.incrVerb, Examples: "cache incr visits\ncache incr visits 10"},
		{
			Name: "ttl", Args: "KEY", Short: "Print how long a key has left, or forever", Do: c.ttlVerb, Flags: []sdk.Flag{asJSON},
			Examples: "cache ttl user:42",
		},
		{
			Name: "tag", Args: "KEY TAG...", Short: "Give a key tags, to be invalidated by", Run: c.tagVerb,
			Examples: "cache tag page:1 product:7 prices\ncache invalidate prices",
		},
		{Name: "invalidate", Args: "TAG...", Short: "Delete all keys with a tag", Run: c.invalidateVerb, Examples: "cache invalidate prices"},
	}, append(c.tableVerbs(), c.spaceVerbs()...)...)
}

// errNoKey ends a verb with 1.
var errNoKey = errors.New("no such key")

// alone runs f while nobody else uses the key.
func (c *cache) alone(key string, f func(key []byte) error) error {
	return c.locks.alone([]byte(key), func() error { return plainText(f([]byte(key))) })
}

// plainText is an error for people: without the code that clients look at.
func plainText(err error) error {
	var f failure
	if errors.As(err, &f) {
		return errors.New(f.text())
	}
	return err
}

// parseTTL reads --ttl, 0 if it is not there.
func parseTTL(call *sdk.Call) (ms int64, given bool, err error) {
	word, given := call.Flag("ttl")
	if !given {
		return 0, false, nil
	}
	ttl, err := time.ParseDuration(word)
	if err != nil || ttl < time.Millisecond {
		return 0, true, sdk.Usagef("--ttl %s: want a duration of at least 1ms, such as 30s", word)
	}
	return ttl.Milliseconds(), true, nil
}

func (c *cache) putVerb(_ context.Context, call *sdk.Call) error {
	ttl, given, err := parseTTL(call)
	if err != nil {
		return err
	}
	value, err := valueOf(call, call.Args[1])
	if err != nil {
		return err
	}
	err = c.alone(call.Args[0], func(key []byte) error {
		it := c.freshWith(key, value)
		if given {
			it.live(ttl, nowMillis())
		}
		return c.store(key, it)
	})
	if err == nil {
		call.Printf("ok\n")
	}
	return err
}

// valueOf is a word, or what the caller has on standard input.
func valueOf(call *sdk.Call, word string) ([]byte, error) {
	if word != "-" {
		return []byte(word), nil
	}
	return io.ReadAll(call.Input)
}

// shown is a key for people and programs.
type shown struct {
	Key   string            `json:"key"`
	Value *string           `json:"value,omitempty"`
	Hash  map[string]string `json:"hash,omitempty"`
	TTL   int64             `json:"ttl_ms"` // that is left, -1 for ever
	Tags  []string          `json:"tags,omitempty"`
}

func show(key string, it item) (shown, error) {
	s := shown{Key: key, TTL: -1, Tags: it.Tags}
	if it.until != 0 {
		s.TTL = max(0, it.until-nowMillis())
	}
	if it.Kind == entry.String {
		text := string(it.Payload)
		s.Value = &text
		return s, nil
	}
	fs, err := entry.ParseFields(it.Payload)
	s.Hash = make(map[string]string, fs.Len())
	for _, f := range fs.All {
		s.Hash[string(f.Name)] = string(f.Value)
	}
	return s, err
}

func (c *cache) getVerb(_ context.Context, call *sdk.Call) error {
	var it item
	var ok bool
	err := c.alone(call.Args[0], func(key []byte) (err error) {
		it, ok, err = c.look(key)
		return err
	})
	switch {
	case err != nil:
		return err
	case !ok:
		return errNoKey
	}
	s, err := show(call.Args[0], it)
	if err != nil {
		return err
	}
	if call.Given("json") {
		return call.JSON(s)
	}
	if s.Value == nil {
		return call.JSON(s.Hash)
	}
	call.Printf("%s", *s.Value)
	return nil
}

func (c *cache) delVerb(_ context.Context, args []string) (string, error) {
	n := 0
	for _, key := range args {
		err := c.alone(key, func(key []byte) error {
			gone, err := c.remove(key)
			if gone {
				n++
			}
			return err
		})
		if err != nil {
			return "", err
		}
	}
	if n == 0 {
		return "", errNoKey
	}
	return fmt.Sprint(n), nil
}

func (c *cache) touchVerb(_ context.Context, call *sdk.Call) error {
	ttl, given, err := parseTTL(call)
	if err != nil {
		return err
	}
	err = c.alone(call.Args[0], func(key []byte) error {
		if given {
			return c.touchFor(key, ttl)
		}
		ok, err := c.touch(key)
		if err == nil && !ok {
			err = errNoKey
		}
		return err
	})
	if err == nil {
		call.Printf("ok\n")
	}
	return err
}

// touchFor gives a key another time to live.
func (c *cache) touchFor(key []byte, ttl int64) error {
	it, ok, err := c.find(key)
	if err != nil {
		return err
	}
	if !ok {
		return errNoKey
	}
	it.live(ttl, nowMillis())
	return c.store(key, it)
}

func (c *cache) incrVerb(_ context.Context, args []string) (string, error) {
	by := int64(1)
	if len(args) > 1 {
		var err error
		if by, err = strconv.ParseInt(args[1], 10, 64); err != nil {
			return "", sdk.Usagef("%s is no number", args[1])
		}
	}
	sum := int64(0)
	err := c.alone(args[0], func(key []byte) error {
		return c.change(key, func(old []byte) (_ []byte, err error) {
			sum, err = plus(old, by, errInteger)
			return strconv.AppendInt(nil, sum, 10), err
		})
	})
	return fmt.Sprint(sum), err
}

func (c *cache) ttlVerb(_ context.Context, call *sdk.Call) error {
	var left int64
	err := c.alone(call.Args[0], func(key []byte) (err error) {
		left, err = c.left(key)
		return err
	})
	switch {
	case err != nil:
		return err
	case left == -2:
		return errNoKey
	}
	if call.Given("json") {
		return call.JSON(map[string]any{"key": call.Args[0], "ttl_ms": left})
	}
	if left == -1 {
		call.Printf("forever\n")
	} else {
		call.Printf("%v\n", time.Duration(left)*time.Millisecond)
	}
	return nil
}

func (c *cache) tagVerb(_ context.Context, args []string) (string, error) {
	err := c.alone(args[0], func(key []byte) error {
		tags := make([][]byte, 0, len(args))
		for _, tag := range args[1:] {
			tags = append(tags, []byte(tag))
		}
		ok, err := c.addTags(key, tags)
		if err == nil && !ok {
			err = errNoKey
		}
		return err
	})
	return "ok", err
}

func (c *cache) invalidateVerb(_ context.Context, args []string) (string, error) {
	for _, tag := range args {
		if err := c.invalidateTag([]byte(tag)); err != nil {
			return "", plainText(err)
		}
	}
	return "ok", nil
}
