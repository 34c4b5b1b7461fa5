package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/theseusd/theseus/sdk/sdktest"
)

// startRedis starts a redis-server of the machine, or skips the test.
func startRedis(t *testing.T) string {
	t.Helper()
	addr, ok := redisIfAny(t)
	if !ok {
		t.Skip("SKIPPED, replies are not compared with Redis itself: there is no redis-server here (apt install redis-server)")
	}
	return addr
}

func redisIfAny(t testing.TB) (addr string, ok bool) {
	t.Helper()
	_, addr, ok = redisProcess(t)
	return addr, ok
}

// The replies that TestTalk wants are those of Redis.
func TestTalkIsRedis(t *testing.T) {
	c := dial(t, startRedis(t))
	if got, err := c.do("INFO", "server"); err != nil || !strings.Contains(got, "redis_version:7.0.") {
		t.Skipf("SKIPPED, this redis-server is not 7.0: %v", err)
	}
	for _, line := range talk {
		if got, err := c.say(line.say); err != nil || short(got) != line.reply {
			t.Errorf("%s: Redis says %q, %v; the table %q", line.say, short(got), err, line.reply)
		}
	}
}

// Any sequence of commands on a few keys is answered as Redis answers it.
func TestAnySequenceIsAnsweredAsByRedis(t *testing.T) {
	theirs := dial(t, startRedis(t))
	ours := dial(t, startCache(t, sdktest.Options{}).Addr("resp"))
	key := rapid.SampledFrom([]string{"a", "b", "c"})
	value := rapid.SampledFrom([]string{"", "x", "1", "-1", "007", "9223372036854775807", "hello"})
	seconds := rapid.SampledFrom([]string{"100", "200", "300", "-1", "0", "x"})
	pick := func(words ...string) *rapid.Generator[[]string] {
		return rapid.Custom(func(t *rapid.T) []string {
			var list []string
			for _, w := range words {
				switch w {
				case "K":
					w = key.Draw(t, "key")
				case "V":
					w = value.Draw(t, "value")
				case "S":
					w = seconds.Draw(t, "seconds")
				}
				if one, many := rapid.SampledFrom(strings.Split(w, "|")).Draw(t, "word"), w; one != "" || !strings.Contains(many, "|") {
					list = append(list, one)
				}
			}
			return list
		})
	}
	command := rapid.OneOf(
		pick("SET", "K", "V"), pick("SET", "K", "V", "EX|PX|EXAT|PXAT", "S"), pick("SET", "K", "V", "NX|XX|GET|KEEPTTL|", "GET|KEEPTTL|"),
		pick("SET", "K", "V", "EX", "100|200", "NX|XX|GET|KEEPTTL"), pick("GET|GETDEL|DEL|UNLINK|EXISTS|TTL|PERSIST|TYPE|STRLEN", "K"),
		pick("EXPIRE|EXPIREAT|PEXPIREAT", "K", "S", "NX|XX|GT|LT|", "NX|XX|GT|LT|"), pick("INCR|DECR", "K"), pick("INCRBY|DECRBY", "K", "V"),
		pick("HSET|HSETNX", "K", "K", "V"), pick("HGET|HDEL|HEXISTS|HSTRLEN", "K", "K"), pick("HGETALL|HKEYS|HVALS|HLEN", "K"), pick("HINCRBY", "K", "K", "V"),
		pick("GETEX", "K", "EX|PX|EXAT|", "S"), pick("SETNX|GETSET|RENAME|RENAMENX|COPY", "K", "V|K"), pick("SETEX", "K", "S", "V"), pick("MSETNX", "K", "V", "K", "V"),
		pick("GETRANGE", "K", "0|1|-1|-9", "0|1|-1|9"), pick("SETRANGE", "K", "0|1|3", "V"), pick("RENAME|RENAMENX|COPY|WATCH", "K", "K"), pick("MULTI"), pick("EXEC"), pick("EXEC|DISCARD|UNWATCH"),
		pick("APPEND", "K", "V"), pick("MSET", "K", "V", "K", "V"), pick("MGET", "K", "K"), pick("KEYS", "[ab]|c|?c"),
	)
	rapid.Check(t, func(t *rapid.T) {
		for _, c := range []*conn{theirs, ours} {
			for _, word := range []string{"DISCARD", "UNWATCH", "FLUSHALL"} {
				if _, err := c.do(word); err != nil {
					t.Fatal(err)
				}
			}
		}
		var queued [][]string
		for _, words := range rapid.SliceOfN(command, 1, 30).Draw(t, "commands") {
			want, err := theirs.do(words...)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ours.do(words...)
			if err != nil {
				t.Fatal(err)
			}
			if got != want && !alike(words, got, want) && !(words[0] == "EXEC" && allAlike(queued, got, want)) {
				t.Fatalf("%q after %q: we say %q, Redis %q", words, queued, short(got), short(want))
			}
			switch want {
			case "+QUEUED\r\n":
				queued = append(queued, words)
			case "+OK\r\n": // of MULTI, or of a command beside any transaction
				queued = nil
			}
		}
	})
}

// alike holds for times that differ by a second, and for lists of keys in another order.
func alike(words []string, got, want string) bool {
	switch words[0] {
	case "TTL":
		a, _ := strconv.Atoi(strings.TrimSpace(got[1:]))
		b, _ := strconv.Atoi(strings.TrimSpace(want[1:]))
		return a > 0 && b > 0 && max(a-b, b-a) <= 1
	case "KEYS":
		return slices.Equal(slices.Sorted(strings.SplitSeq(got, "\r\n")), slices.Sorted(strings.SplitSeq(want, "\r\n")))
	}
	return false
}

// allAlike compares what EXEC says for each command that was queued.
func allAlike(queued [][]string, got, want string) bool {
	ours, theirs := elements(got), elements(want)
	if len(ours) != len(queued) || len(theirs) != len(queued) {
		return false
	}
	for i, words := range queued {
		if ours[i] != theirs[i] && !alike(words, ours[i], theirs[i]) {
			return false
		}
	}
	return true
}

// elements are the replies within the array that EXEC answers with.
func elements(reply string) []string {
	_, rest, _ := strings.Cut(reply, "\r\n")
	c := conn{in: bufio.NewReader(strings.NewReader(rest))}
	var list []string
	for {
		one, err := c.say("")
		if err != nil {
			return list
		}
		list = append(list, one)
	}
}

// Within a transaction too, the keys may come in another order.
func TestAlikeWithinATransaction(t *testing.T) {
	queued := [][]string{{"KEYS", "*"}, {"TTL", "a"}, {"GET", "a"}}
	ours := "*3\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n:99\r\n$1\r\nx\r\n"
	for theirs, want := range map[string]bool{
		"*3\r\n*2\r\n$1\r\nb\r\n$1\r\na\r\n:100\r\n$1\r\nx\r\n": true,
		"*3\r\n*2\r\n$1\r\nb\r\n$1\r\nc\r\n:100\r\n$1\r\nx\r\n": false,
		"*3\r\n*2\r\n$1\r\nb\r\n$1\r\na\r\n:100\r\n$1\r\ny\r\n": false,
		"*2\r\n*2\r\n$1\r\nb\r\n$1\r\na\r\n:100\r\n":            false,
	} {
		if got := allAlike(queued, ours, theirs); got != want {
			t.Errorf("alike to %q: %v", theirs, got)
		}
	}
}

func TestGoRedis(t *testing.T) {
	ctx := t.Context()
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprintf("RESP%d", protocol), func(t *testing.T) {
			r := redis.NewClient(&redis.Options{Addr: startCache(t, sdktest.Options{}).Addr("resp"), Protocol: protocol, ClientName: "test"})
			defer r.Close()
			goRedis(ctx, t, r)
		})
	}
}

func goRedis(ctx context.Context, t *testing.T, r *redis.Client) {
	if err := r.Set(ctx, "user:42", "active", 30*time.Second).Err(); err != nil {
		t.Fatal(err)
	}
	if v, err := r.Get(ctx, "user:42").Result(); err != nil || v != "active" {
		t.Errorf("GET: %q, %v", v, err)
	}
	if d, err := r.TTL(ctx, "user:42").Result(); err != nil || d != 30*time.Second {
		t.Errorf("TTL: %v, %v", d, err)
	}
	if _, err := r.Get(ctx, "nosuch").Result(); err != redis.Nil {
		t.Errorf("GET nosuch: %v", err)
	}
	if ok, err := r.SetNX(ctx, "lock", "1", time.Minute).Result(); err != nil || !ok {
		t.Errorf("SETNX: %v, %v", ok, err)
	}
	if list, err := r.MGet(ctx, "lock", "nosuch").Result(); err != nil || len(list) != 2 || list[0] != "1" || list[1] != nil {
		t.Errorf("MGET: %v, %v", list, err)
	}
	if name, err := r.ClientGetName(ctx).Result(); err != nil || name != "test" {
		t.Errorf("CLIENT GETNAME: %q, %v", name, err)
	}
	if all, err := r.Command(ctx).Result(); err != nil || all["get"] == nil || !all["get"].ReadOnly {
		t.Errorf("COMMAND: %v, %v", all["get"], err)
	}
	pipelined(ctx, t, r)
	scanned(ctx, t, r)
}

func pipelined(ctx context.Context, t *testing.T, r *redis.Client) {
	list, err := r.Pipelined(ctx, func(p redis.Pipeliner) error {
		for range 1000 {
			p.Incr(ctx, "n")
		}
		return nil
	})
	if err != nil || len(list) != 1000 || list[999].(*redis.IntCmd).Val() != 1000 {
		t.Errorf("1000 INCR in a pipeline: %v", err)
	}
}

func scanned(ctx context.Context, t *testing.T, r *redis.Client) {
	keys := map[string]bool{}
	it := r.Scan(ctx, 0, "*", 2).Iterator()
	for it.Next(ctx) {
		keys[it.Val()] = true
	}
	if it.Err() != nil || len(keys) != 3 {
		t.Errorf("SCAN: %v, %v", keys, it.Err())
	}
}

func TestRedisCLI(t *testing.T) {
	path, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Skip("SKIPPED, the cache is not tried with redis-cli: there is none here (apt install redis-tools)")
	}
	_, port, _ := net.SplitHostPort(startCache(t, sdktest.Options{}).Addr("resp"))
	for _, c := range []struct{ args, want string }{
		{"SET user:42 active EX 30", "OK"},
		{"GET user:42", "active"},
		{"TTL user:42", "30"},
		{"-3 GET nosuch", ""},
		{"--scan --pattern user:*", "user:42"},
		{"-n 0 DBSIZE", "1"},
		{"--no-auth-warning -a secret PING", "PONG"},
	} {
		out, err := exec.Command(path, append([]string{"-p", port}, strings.Fields(c.args)...)...).Output()
		if got := strings.TrimSpace(string(out)); err != nil || !strings.HasSuffix(got, c.want) {
			t.Errorf("redis-cli %s: %q, %v; want %q", c.args, got, err, c.want)
		}
	}
	// Without arguments it asks for the documentation of every command first.
	cmd := exec.Command(path, "-p", port)
	cmd.Stdin = bytes.NewBufferString("INCR n\nHELP get\nQUIT\n")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "1") {
		t.Errorf("redis-cli from stdin: %v\n%s", err, out)
	}
}
