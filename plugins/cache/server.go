package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

const redisVersion = "7.0.15" // whose commands and texts these are

func (c *cache) ping(q *call) error {
	switch {
	case len(q.args) > 2:
		return errArity("ping")
	case q.client.listens() && q.conn.Proto() == 2:
		q.array(2)
		q.text("pong")
		q.bulk(slices.Concat(q.args[1:]...))
	case len(q.args) == 2:
		q.bulk(q.args[1])
	default:
		q.status("PONG")
	}
	return nil
}

func (c *cache) echo(q *call) error {
	q.bulk(q.args[1])
	return nil
}

func (c *cache) selectDB(q *call) error {
	n, err := parseInt(q.args[1])
	if err == nil && n != 0 {
		err = errDB
	}
	return q.okIf(err)
}

// info answers what INFO of Redis answers first, as far as there is such a thing here.
func (c *cache) info(q *call) error {
	sections := map[string]string{
		"server":   c.infoServer(),
		"memory":   infoMemory(),
		"stats":    c.infoStats(),
		"keyspace": fmt.Sprintf("db0:keys=%d,expires=0,avg_ttl=0\r\n", c.spaces.entries()),
	}
	var text strings.Builder
	for _, name := range []string{"Server", "Memory", "Stats", "Keyspace"} {
		if wanted(q.args[1:], name) {
			fmt.Fprintf(&text, "# %s\r\n%s\r\n", name, sections[strings.ToLower(name)])
		}
	}
	q.text(strings.TrimSuffix(text.String(), "\r\n"))
	return nil
}

func wanted(args [][]byte, section string) bool {
	for _, arg := range args {
		if isWord(arg, section) || isWord(arg, "all") || isWord(arg, "default") || isWord(arg, "everything") {
			return true
		}
	}
	return len(args) == 0
}

func (c *cache) infoServer() string {
	return fmt.Sprintf("redis_version:%s\r\ntheseus_version:%s\r\nredis_mode:standalone\r\nos:%s\r\narch_bits:%d\r\n"+
		"process_id:%d\r\nuptime_in_seconds:%d\r\n",
		redisVersion, version, runtime.GOOS, 32<<(^uint(0)>>63), os.Getpid(), int(time.Since(c.started).Seconds()))
}

func infoMemory() string {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return fmt.Sprintf("used_memory:%d\r\n", m.HeapAlloc)
}

func (c *cache) infoStats() string {
	n := c.spaces.total()
	return fmt.Sprintf("expired_keys:%d\r\nevicted_keys:%d\r\nkeyspace_hits:%d\r\nkeyspace_misses:%d\r\n", n.Expired, n.Evicted, n.Hits, n.Misses)
}
