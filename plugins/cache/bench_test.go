package main

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk/sdktest"
)

// Requests over one connection, alone and sixteen at a time; a machine with a redis-server compares.
func BenchmarkRequests(b *testing.B) {
	servers := map[string]string{"cache": startCache(b, sdktest.Options{}).Addr("resp")}
	if addr, ok := redisIfAny(b); ok {
		servers["redis"] = addr
	}
	for _, name := range []string{"cache", "redis"} {
		for _, word := range []string{"GET", "SET"} {
			for _, depth := range []int{1, 16} {
				addr, ok := servers[name]
				b.Run(fmt.Sprintf("%s/%s/pipeline=%d", name, word, depth), func(b *testing.B) {
					if !ok {
						b.Skip("there is no redis-server here")
					}
					benchmark(b, dial(b, addr), word, depth)
				})
			}
		}
	}
}

func benchmark(b *testing.B, c *conn, word string, depth int) {
	value := strings.Repeat("v", 100)
	if _, err := c.do("SET", "key", value); err != nil {
		b.Fatal(err)
	}
	line := encode("GET", "key")
	if word == "SET" {
		line = encode("SET", "key", value)
	}
	lines := strings.Repeat(line, depth)
	var reply strings.Builder
	for n := 0; n < b.N; n += depth {
		if _, err := io.WriteString(c, lines); err != nil {
			b.Fatal(err)
		}
		for range depth {
			reply.Reset()
			if err := c.read(&reply); err != nil {
				b.Fatal(err)
			}
		}
	}
}
