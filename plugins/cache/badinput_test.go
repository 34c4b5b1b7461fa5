package main

import (
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk/sdktest"
	"github.com/theseusd/theseus/sdk/sdktest/npm"
)

// What is no command gets Redis' own answer and the end of the connection, and disturbs nobody.
func TestGarbageIsAnswered(t *testing.T) {
	addr := startCache(t, sdktest.Options{}).Addr("resp")
	beside := dial(t, addr)
	for _, line := range []struct{ name, send, want string }{
		{"too many words", "*2000000\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
		{"no number", "*x\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
		{"a bulk of 1 GB", "*2\r\n$3\r\nGET\r\n$1073741824\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
		{"a bulk of less than nothing", "*1\r\n$-5\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
		{"something else than a bulk", "*1\r\n:5\r\n", "-ERR Protocol error: expected '$', got ':'\r\n"},
		{"quotes that do not end", "GET \"a\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
		{"a line without end", strings.Repeat("x", 70_000), "-ERR Protocol error: too big inline request\r\n"},
		{"an unknown command, then an end", "NOSUCH a\r\nQUIT\r\n", "-ERR unknown command 'NOSUCH', with args beginning with: 'a' \r\n+OK\r\n"},
		{"inline commands", "SET a 1\r\nGET a\r\n\r\nQUIT\r\n", "+OK\r\n$1\r\n1\r\n+OK\r\n"},
	} {
		t.Run(line.name, func(t *testing.T) {
			c := dial(t, addr)
			_, _ = io.WriteString(c, line.send)
			got, _ := io.ReadAll(c.in) // a connection with unread bytes may end with a reset
			if string(got) != line.want {
				t.Errorf("got %.200q, want %q", got, line.want)
			}
			beside.saying(t, [2]string{"PING", "+PONG "})
		})
	}
}

func TestDeepPipelines(t *testing.T) {
	c := dial(t, startCache(t, sdktest.Options{}).Addr("resp"))
	const depth = 10_000
	go func() { _, _ = io.WriteString(c, strings.Repeat(encode("INCR", "n"), depth)) }()
	for i := range depth {
		if got, err := c.say(""); err != nil || short(got) != fmt.Sprintf(":%d ", i+1) {
			t.Fatalf("reply %d: %q, %v", i, got, err)
		}
	}
	c.saying(t, [2]string{"MULTI", "+OK "})
	go func() { _, _ = io.WriteString(c, strings.Repeat(encode("INCR", "n"), depth)+encode("EXEC")) }()
	for range depth {
		if got, err := c.say(""); err != nil || got != "+QUEUED\r\n" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if got, err := c.say(""); err != nil || !strings.HasPrefix(got, "*10000\r\n:10001\r\n") || !strings.HasSuffix(got, ":20000\r\n") {
		t.Errorf("%.60q, %v", got, err)
	}
}

// A client that asks for a hundred megabytes and reads nothing is waited for: it costs a few replies, not all of them.
func TestASlowReaderCostsLittle(t *testing.T) {
	addr := startCache(t, sdktest.Options{}).Addr("resp")
	slow, beside := dial(t, addr), dial(t, addr)
	if _, err := beside.do("SET", "big", strings.Repeat("x", 1<<20)); err != nil {
		t.Fatal(err)
	}
	before := heap()
	_, _ = io.WriteString(slow, strings.Repeat(encode("GET", "big"), 100))
	for range 100 {
		beside.saying(t, [2]string{"SETRANGE big 0 y", ":1048576 "})
	}
	if grown := heap() - before; grown > 32<<20 {
		t.Errorf("it costs %d MB", grown>>20)
	}
	for range 100 {
		if got, err := slow.say(""); err != nil || len(got) != 1<<20+12 {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
}

// A short command that asks for a value again and again made the service collect as much memory as it said.
func TestAReplyHasABound(t *testing.T) {
	_, s := within(t, func(c *cache) { c.maxReply = 10_000 })
	c := dial(t, s.Addr("resp"))
	v := strings.Repeat("x", 4000)
	refused := "-" + string(errReply) + " "
	c.saying(t,
		[2]string{"SET k " + v, "+OK "}, [2]string{"HSET h f " + v, ":1 "},
		[2]string{"MGET k k", "*2 $4000 " + v + " $4000 " + v + " "},
		[2]string{"MGET k k k", refused}, [2]string{"HMGET h f f f", refused}, [2]string{"GET k", "$4000 " + v + " "},
		[2]string{"HSET h g " + v + " i " + v, ":2 "}, [2]string{"HGETALL h", refused}, [2]string{"HVALS h", refused}, [2]string{"HSCAN h 0", refused},
		[2]string{"MULTI", "+OK "}, [2]string{"GET k", "+QUEUED "}, [2]string{"HGETALL h", "+QUEUED "}, [2]string{"GET k", "+QUEUED "},
		[2]string{"GET k", "+QUEUED "}, [2]string{"DBSIZE", "+QUEUED "}, [2]string{"DEL k", "+QUEUED "},
		[2]string{"EXEC", "*6 $4000 " + v + " " + refused + "$4000 " + v + " " + refused + ":2 :1 "},
		[2]string{"ECHO " + v + v + v, "$12000 " + v + v + v + " "},
	)
	if got, err := c.do(append([]string{"MGET"}, slices.Repeat([]string{"k"}, 100_000)...)...); err != nil || got != "*100000\r\n"+strings.Repeat("$-1\r\n", 100_000) {
		t.Errorf("keys that are not there: %.100q, %v", got, err)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestRedisBenchmark(t *testing.T) {
	path, err := exec.LookPath("redis-benchmark")
	if err != nil {
		t.Skip("SKIPPED, the cache is not tried with redis-benchmark: there is none here (apt install redis-tools)")
	}
	_, port, _ := strings.Cut(startCache(t, sdktest.Options{}).Addr("resp"), ":")
	out, err := exec.Command(path, "-p", port, "-q", "-n", "2000", "-c", "20", "-P", "4", "-r", "100",
		"-t", "ping_inline,ping_mbulk,set,get,incr,hset,mset").CombinedOutput()
	if err != nil || strings.Count(string(out), "requests per second") < 7 || strings.Contains(string(out), "ERR") {
		t.Errorf("%v\n%s", err, out)
	}
}

// ioredis is what most programs for Node speak with.
func TestIORedis(t *testing.T) {
	dir := npm.Install(t, "testdata/ioredis")
	_, port, _ := strings.Cut(startCache(t, sdktest.Options{}).Addr("resp"), ":")
	if out, err := npm.Run(t, dir, "client.js", port); err != nil || strings.TrimSpace(out) != "ok" {
		t.Errorf("%v\n%s", err, out)
	}
}
