package main

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/theseusd/theseus/sdk/sdktest"
	"github.com/theseusd/theseus/sdk/state"
)

// eachOf runs f on n connections at once.
func eachOf(t *testing.T, addr string, n int, f func(i int, c *conn) error) {
	t.Helper()
	var wait sync.WaitGroup
	for i := range n {
		c := dial(t, addr)
		wait.Go(func() {
			if err := f(i, c); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
}

func TestOneOfManyGetsTheLock(t *testing.T) {
	addr := startCache(t, sdktest.Options{}).Addr("resp")
	for round := range 50 {
		var won atomic.Int32
		eachOf(t, addr, 8, func(i int, c *conn) error {
			got, err := c.do("SET", fmt.Sprint("lock", round), fmt.Sprint(i), "NX", "EX", "100")
			if got == "+OK\r\n" {
				won.Add(1)
			}
			return err
		})
		if won.Load() != 1 {
			t.Fatalf("round %d: %d clients have the lock", round, won.Load())
		}
	}
}

func TestNoIncrementIsLostOrDoubled(t *testing.T) {
	addr := startCache(t, sdktest.Options{}).Addr("resp")
	eachOf(t, addr, 8, func(_ int, c *conn) error {
		for range 500 {
			if _, err := c.do("INCR", "n"); err != nil {
				return err
			}
		}
		return nil
	})
	if got, err := dial(t, addr).do("GET", "n"); err != nil || short(got) != "$4 4000 " {
		t.Errorf("8 times 500 increments: %q, %v", got, err)
	}
}

// Nobody sees a part of an MSET.
func TestMSetIsAtomic(t *testing.T) {
	addr := startCache(t, sdktest.Options{}).Addr("resp")
	eachOf(t, addr, 4, func(i int, c *conn) error {
		for n := range 500 {
			v := fmt.Sprint(i, ".", n)
			if i%2 == 0 {
				if _, err := c.do("MSET", "a", v, "b", v, "c", v); err != nil {
					return err
				}
				continue
			}
			got, err := c.do("MGET", "a", "b", "c")
			if err != nil {
				return err
			}
			if parts := strings.SplitAfter(got, "\r\n"); len(parts) > 6 && (parts[2] != parts[4] || parts[4] != parts[6]) {
				return fmt.Errorf("half an MSET: %q", got)
			}
		}
		return nil
	})
}

func TestOddSizes(t *testing.T) {
	c := dial(t, startCache(t, sdktest.Options{}).Addr("resp"))
	big := strings.Repeat("x", 20<<20) // more than a segment of the log
	refused := "-" + string(errTooLong) + " "
	for _, line := range []struct {
		say  []string
		want string
	}{
		{[]string{"SET", "", "empty"}, "+OK "},
		{[]string{"GET", ""}, "$5 empty "},
		{[]string{"SET", "big", big}, "+OK "},
		{[]string{"APPEND", "big", "x"}, fmt.Sprintf(":%d ", len(big)+1)},
		{[]string{"STRLEN", "big"}, fmt.Sprintf(":%d ", len(big)+1)},
		{[]string{"SET", strings.Repeat("k", state.MaxKey+1), "x"}, refused},
		{[]string{"SET", strings.Repeat("k", state.MaxKey), "x"}, "+OK "},
	} {
		got, err := c.do(line.say...)
		if err != nil || short(got) != line.want {
			t.Errorf("%.40q: %.80q, %v; want %q", line.say, short(got), err, line.want)
		}
	}
}
