package main

import (
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk/sdktest"
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
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("SKIPPED, the cache is not tried with ioredis: there is no node here (apt install nodejs npm)")
	}
	if testing.Short() {
		t.Skip("it installs a package")
	}
	dir := t.TempDir()
	install := exec.CommandContext(t.Context(), "npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", dir, "ioredis@5")
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("SKIPPED, the cache is not tried with ioredis: it cannot be installed: %v %s", err, out)
	}
	script, err := filepath.Abs("testdata/ioredis.js")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(startCache(t, sdktest.Options{}).Addr("resp"), ":")
	cmd := exec.CommandContext(t.Context(), node, script, port)
	cmd.Env = append(cmd.Environ(), "NODE_PATH="+filepath.Join(dir, "node_modules"))
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "ok" {
		t.Errorf("%v\n%s", err, out)
	}
}
