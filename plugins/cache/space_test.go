package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/sdktest"
)

func TestNamespaces(t *testing.T) {
	s := startCache(t, sdktest.Options{})
	c := dial(t, s.Addr("resp"))
	c.saying(t,
		[2]string{"CACHE.NS LIST", "*0 "},
		[2]string{"CACHE.NS GET s", "-ERR no such namespace "},
		[2]string{"CACHE.NS SET s EX 100", "+OK "},
		[2]string{"CACHE.NS LIST", "*1 $1 s "},
		[2]string{"CACHE.NS GET s", "*10 $6 ttl_ms :100000 $7 sliding $2 no $4 keep $8 volatile $11 max_entries :0 $9 max_bytes :0 "},
		[2]string{"SET s:1 a", "+OK "}, [2]string{"TTL s:1", ":100 "},
		[2]string{"HSET s:2 a 1", ":1 "}, [2]string{"TTL s:2", ":100 "},
		[2]string{"SET s:3 a EX 50", "+OK "}, [2]string{"TTL s:3", ":50 "},
		[2]string{"SET other a", "+OK "}, [2]string{"TTL other", ":-1 "},
		[2]string{"GET s:1", "$1 a "}, [2]string{"GET s:9", "$-1 "},
		[2]string{"CACHE.NS SET s DURABLE", "-ERR namespace 's' has 3 keys that are kept volatile; flush it first "},
		[2]string{"CACHE.NS FLUSH s", ":3 "},
		[2]string{"CACHE.NS SET s DURABLE", "+OK "},
		[2]string{"SET s:1 a", "+OK "}, [2]string{"DBSIZE", ":2 "},
		[2]string{"CACHE.NS DEL s", "-ERR namespace 's' has 1 keys; flush it first "},
		[2]string{"DEL s:1", ":1 "},
		[2]string{"CACHE.NS DEL s", ":1 "}, [2]string{"CACHE.NS DEL s", ":0 "},
		[2]string{"CACHE.NS", "-ERR wrong number of arguments for 'cache.ns' command "},
		[2]string{"CACHE.NS SET", "-ERR wrong number of arguments for 'cache.ns|set' command "},
		[2]string{"CACHE.NS SET a:b", "-ERR a namespace has a name of 1 to 128 bytes without a colon "},
		[2]string{"CACHE.NS SET a SLIDING", "-ERR a sliding namespace needs a time to live: EX or PX "},
		[2]string{"CACHE.NS SET a MAXENTRIES 1 MAXBYTES 1", "-ERR a namespace is bounded by entries or by bytes, not by both "},
		[2]string{"CACHE.NS SET a EX", "-ERR syntax error "}, [2]string{"CACHE.NS SET a EX 0", "-ERR value is not an integer or out of range "},
		[2]string{"CACHE.NS NOSUCH", "-ERR unknown subcommand 'NOSUCH'. Try CACHE.NS HELP. "},
	)
	if got := s.Verb("stats", "--json"); !strings.Contains(got, `"entries":1,"bytes":7,"hits":0,"misses":0,"writes":1,`) {
		t.Errorf("stats: %s", got)
	}
}

func TestSlidingAndTouch(t *testing.T) {
	c := dial(t, startCache(t, sdktest.Options{}).Addr("resp"))
	c.saying(t, [2]string{"CACHE.NS SET s PX 2000 SLIDING", "+OK "}, [2]string{"SET s:1 a", "+OK "}, [2]string{"SET s:2 a", "+OK "},
		[2]string{"SET t a EX 100", "+OK "}, [2]string{"SET u a", "+OK "}, [2]string{"SET v a EXAT 99999999999", "+OK "})
	end := time.Now().Add(3 * time.Second)
	for time.Now().Before(end) {
		c.saying(t, [2]string{"GET s:1", "$1 a "})
	}
	c.saying(t, [2]string{"GET s:2", "$-1 "}, [2]string{"CACHE.TOUCH t u v nosuch", ":3 "}, [2]string{"TTL t", ":100 "}, [2]string{"TTL u", ":-1 "},
		[2]string{"EXPIRETIME v", ":99999999999 "})
}

// A bounded namespace holds about what it may, and what is read again and again stays in it.
func TestBounds(t *testing.T) {
	s := startCache(t, sdktest.Options{})
	c := dial(t, s.Addr("resp"))
	c.saying(t, [2]string{"CACHE.NS SET e MAXENTRIES 100", "+OK "}, [2]string{"CACHE.NS SET b MAXBYTES 100000", "+OK "}, [2]string{"SET other 1", "+OK "},
		[2]string{"SET e:hot 1", "+OK "})
	value := strings.Repeat("x", 990)
	for i := range 2000 {
		c.saying(t, [2]string{fmt.Sprintf("SET e:%d x", i), "+OK "}, [2]string{fmt.Sprintf("SET b:%d %s", i, value), "+OK "}, [2]string{"GET e:hot", "$1 1 "})
	}
	deadline := time.Now().Add(10 * time.Second)
	for n := 1000; n > 100+101+1; n = keysOf(t, c) {
		if time.Now().After(deadline) {
			t.Fatalf("%d keys are there", n)
		}
	}
	c.saying(t, [2]string{"GET other", "$1 1 "}, [2]string{"GET e:hot", "$1 1 "})
	if got := s.Verb("stats", "--json"); strings.Contains(got, `"evicted":0,`) && !strings.Contains(got, `"evicted":1`) {
		t.Errorf("stats: %s", got)
	}
}

func keysOf(t *testing.T, c *conn) (n int) {
	t.Helper()
	got, err := c.say("DBSIZE")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Sscanf(got, ":%d", &n)
	return n
}

func TestTags(t *testing.T) {
	s := startCache(t, sdktest.Options{})
	c := dial(t, s.Addr("resp"))
	c.saying(t,
		[2]string{"CACHE.TAG nosuch t", ":0 "}, [2]string{"SET a 1 EX 100", "+OK "}, [2]string{"HSET h f 1", ":1 "}, [2]string{"SET b 1", "+OK "},
		[2]string{"CACHE.TAG a t u", ":1 "}, [2]string{"CACHE.TAG h t", ":1 "}, [2]string{"TTL a", ":100 "}, [2]string{"HSET h g 1", ":1 "},
		[2]string{"CACHE.INVALIDATE nobody", "+OK "}, [2]string{"GET a", "$1 1 "},
		[2]string{"CACHE.INVALIDATE t", "+OK "}, [2]string{"GET a", "$-1 "}, [2]string{"HGETALL h", "*0 "}, [2]string{"GET b", "$1 1 "},
		[2]string{"HSET h f 2", ":1 "}, [2]string{"HGET h g", "$-1 "}, [2]string{"HGET h f", "$1 2 "},
		[2]string{"INCR a", ":1 "}, [2]string{"GET a", "$1 1 "}, [2]string{"CACHE.TAG a t", ":1 "}, [2]string{"GET a", "$1 1 "},
		[2]string{"CACHE.TAG a " + strings.Repeat("x", 300), "-ERR a tag has 1 to 256 bytes "})
	for i := range 1000 {
		c.saying(t, [2]string{fmt.Sprintf("SET k%d v", i), "+OK "}, [2]string{fmt.Sprintf("CACHE.TAG k%d all", i), ":1 "})
	}
	c.saying(t, [2]string{"CACHE.INVALIDATE all", "+OK "}, [2]string{"EXISTS k1 k999", ":0 "})
	deadline := time.Now().Add(10 * time.Second)
	for keysOf(t, c) != 3 {
		if time.Now().After(deadline) {
			t.Fatalf("invalidated keys are not removed: %d are there", keysOf(t, c))
		}
	}
}

func TestDumpIsLoaded(t *testing.T) {
	s := startCache(t, sdktest.Options{})
	c := dial(t, s.Addr("resp"))
	c.saying(t, [2]string{"SET a 1 EX 100", "+OK "}, [2]string{"HSET h f 1 g 2", ":2 "}, [2]string{"CACHE.TAG h t", ":1 "}, [2]string{"SET e", "-ERR wrong number of arguments for 'set' command "})
	dump := s.Verb("dump")
	if strings.Count(dump, "\n") != 1 || !strings.Contains(dump, `"tags":["t"]`) {
		t.Errorf("dump: %s", dump)
	}
	if err := s.VerbError("load", "cache.jsonl"); err == nil || !strings.Contains(err.Error(), "cache load < cache.jsonl") {
		t.Errorf("load of a file: %v", err)
	}
	if got := s.Verb("load"); got != "loaded=0" {
		t.Errorf("got %s", got)
	}
	if got := s.Verb("load", "-"); got != "loaded=0" {
		t.Errorf("load of nothing: %q", got)
	}
}

func TestVerbsOfTheTable(t *testing.T) {
	s := startCache(t, sdktest.Options{})
	for _, v := range []struct{ call, want string }{
		{"put n 1 --ttl 1h", "ok"},
		{"incr n", "2"},
		{"incr n 5", "7"},
		{"touch n", "ok"},
		{"touch n --ttl 2h", "ok"},
		{"put m x", "ok"},
		{"ttl m", "forever"},
		{"ttl m --json", `{"key":"m","ttl_ms":-1}`},
		{"get m --json", `{"key":"m","value":"x","ttl_ms":-1}`},
		{"scan --json", `["m","n"]`},
		{"scan m*", "m"},
		{"tag m t", "ok"},
		{"invalidate t", "ok"},
		{"scan", "n"},
		{"ns s --set --ttl 1m --sliding --keep durable", "ok"},
		{"ns s", "s ttl=1m0s sliding=true keep=durable entries=0 bytes=0 hits=0 misses=0 expired=0 evicted=0"},
		{"ns s --del", "ok"},
	} {
		w := words(v.call)
		if got := s.Verb(w[0], w[1:]...); got != v.want {
			t.Errorf("cache %s: %q, want %q", v.call, got, v.want)
		}
	}
	if got := s.Verb("bench", "--n", "1000"); !strings.Contains(got, "set: ") || !strings.Contains(got, "get: ") {
		t.Errorf("bench: %s", got)
	}
	if got := s.Verb("stats"); got != "entries=1 evictions=0" {
		t.Errorf("stats after bench: %s", got)
	}
	for _, call := range []string{"touch nosuch", "ttl nosuch", "tag nosuch t", "del nosuch", "ns nosuch", "ns a:b --set", "ns a --set --sliding", "incr n x", "bench --n x"} {
		w := words(call)
		if s.VerbError(w[0], w[1:]...) == nil {
			t.Errorf("cache %s succeeded", call)
		}
	}
}
