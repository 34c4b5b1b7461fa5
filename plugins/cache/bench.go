package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/theseusd/theseus/sdk"
)

func benchVerb(c *cache) sdk.Verb {
	return sdk.Verb{
		Name: "bench", Short: "Measure sets and gets within the service, on keys of its own", Do: c.benchVerb,
		Flags: []sdk.Flag{
			{Name: "n", Arg: "N", Short: "operations of each kind; 100000 if it is not there"},
			{Name: "clients", Arg: "N", Short: "goroutines; 4 if it is not there"},
			{Name: "size", Arg: "BYTES", Short: "of a value; 100 if it is not there"},
		},
		Examples: "cache bench\ncache bench --n 1000000 --size 1000",
	}
}

// benchKey is what the keys of a measurement begin with.
const benchKey = "cache.bench."

func (c *cache) benchVerb(ctx context.Context, call *sdk.Call) error {
	n, clients, size := 100_000, 4, 100
	for flag, to := range map[string]*int{"n": &n, "clients": &clients, "size": &size} {
		word, given := call.Flag(flag)
		if !given {
			continue
		}
		v, err := strconv.Atoi(word)
		if err != nil || v < 1 || v > 100_000_000 {
			return sdk.Usagef("--%s %s: want a number from 1 to 100000000", flag, word)
		}
		*to = v
	}
	value := make([]byte, size)
	key := func(i int) []byte { return fmt.Appendf(nil, "%s%08d", benchKey, i%10_000) }
	defer func() {
		for i := range min(n, 10_000) {
			_, _ = c.removeOne(key(i), false)
		}
	}()
	err := measure(ctx, call, "set", n, clients, func(i int) error {
		return c.locks.alone(key(i), func() error { return c.store(key(i), c.freshWith(key(i), value)) })
	})
	if err != nil {
		return err
	}
	return measure(ctx, call, "get", n, clients, func(i int) error {
		_, _, err := c.find(key(i))
		return err
	})
}

// measure runs f n times on some goroutines, and prints how fast that was.
func measure(ctx context.Context, call *sdk.Call, what string, n, clients int, f func(i int) error) error {
	took := make([][]time.Duration, clients)
	failed := make([]error, clients)
	var wait sync.WaitGroup
	began := time.Now()
	for w := range clients {
		wait.Go(func() {
			for i := w; i < n && failed[w] == nil; i += clients {
				at := time.Now()
				if failed[w] = f(i); failed[w] == nil {
					failed[w] = context.Cause(ctx)
				}
				took[w] = append(took[w], time.Since(at))
			}
		})
	}
	wait.Wait()
	all := slices.Concat(took...)
	slices.Sort(all)
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	call.Printf("%s: %.0f/s p50=%v p99=%v max=%v\n", what, float64(n)/time.Since(began).Seconds(), all[len(all)/2], all[len(all)*99/100], all[len(all)-1])
	return nil
}
