package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/sdktest"
)

func TestMain(m *testing.M) { sdktest.Main(m, service) }

// peer is a server that is measured.
type peer struct {
	name, addr string
	pid        int
}

// peers are a redis-server and the cache, each a process of its own.
func peers(b *testing.B) []peer {
	b.Helper()
	redis, addr, ok := redisProcess(b)
	if !ok {
		b.Skip("there is no redis-server here (apt install redis-server)")
	}
	dir, err := os.MkdirTemp("/var/tmp", "cache-beside")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	ours := sdktest.StartProcess(b, sdktest.Options{StateDir: dir})
	return []peer{{"redis", addr, redis.Process.Pid}, {"cache", ours.Addr("resp"), ours.PID()}}
}

// cpu is the processor time that a process has used.
func (p peer) cpu(b *testing.B) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		b.Fatal(err)
	}
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// memory is what a process has in memory: pages of its own, and pages of files, the log among them.
func (p peer) memory(b *testing.B) (own, file int) {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		_, _ = fmt.Sscanf(line, "RssAnon: %d kB", &own)
		_, _ = fmt.Sscanf(line, "RssFile: %d kB", &file)
	}
	return own >> 10, file >> 10
}

var perSecond = regexp.MustCompile(`([0-9.]+) requests per second`)

// BenchmarkBesideRedis measures the cache beside redis-server in one run, with redis-benchmark as the client of both:
// 50 connections, 32 bytes of key, 100 of value. Rounds take turns; each figure is the median.
func BenchmarkBesideRedis(b *testing.B) {
	tool, err := exec.LookPath("redis-benchmark")
	if err != nil {
		b.Skip("there is no redis-benchmark here (apt install redis-tools)")
	}
	all := peers(b)
	key, value := strings.Repeat("k", 20)+"__rand_int__", strings.Repeat("v", 100)
	for _, words := range [][]string{{"SET", key, value}, {"GET", key}} {
		for _, depth := range []int{1, 16} {
			n := inShort(2_000, 200_000) * min(depth, 8)
			rates, costs := map[string][]float64{}, map[string][]float64{}
			for range 5 {
				for _, p := range all {
					_, port, _ := net.SplitHostPort(p.addr)
					before := p.cpu(b)
					out, err := exec.Command(tool, append([]string{"-p", port, "-q", "-c", "50", "-r", "100000", "-n", fmt.Sprint(n), "-P", fmt.Sprint(depth)}, words...)...).Output()
					found := perSecond.FindAllSubmatch(out, -1)
					if err != nil || len(found) == 0 {
						b.Fatalf("%v: %s", err, out)
					}
					rate, _ := strconv.ParseFloat(string(found[len(found)-1][1]), 64)
					rates[p.name] = append(rates[p.name], rate)
					costs[p.name] = append(costs[p.name], float64((p.cpu(b)-before).Nanoseconds())/float64(n)/1000)
				}
			}
			b.Logf("%s pipeline=%-2d  redis %8.0f/s %5.2f µs   cache %8.0f/s %5.2f µs   throughput %.2f, CPU %.2f", words[0], depth,
				median(rates["redis"]), median(costs["redis"]), median(rates["cache"]), median(costs["cache"]),
				median(rates["cache"])/median(rates["redis"]), median(costs["cache"])/median(costs["redis"]))
		}
	}
}

// inShort is the first number with -short: to see that the measurement works.
func inShort(short, n int) int {
	if testing.Short() {
		return short
	}
	return n
}

func median(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

// BenchmarkExpiryBesideRedis gives a million keys one end, and measures what somebody else notices of it, and the
// memory before.
func BenchmarkExpiryBesideRedis(b *testing.B) {
	for _, p := range peers(b) {
		end := time.Now().Add(time.Duration(inShort(10, 40)) * time.Second)
		fill(b, p.addr, inShort(10_000, 1_000_000), end)
		own, file := p.memory(b)
		quiet := latencies(b, p.addr, time.Until(end.Add(-2*time.Second)))
		left := sizeAt(b, p.addr, end.Add(time.Second))
		around := latencies(b, p.addr, 5*time.Second)
		b.Logf("%-5s %d keys: %d MiB of its own, %d MiB of files; GET beside, p99.9: %v quiet, %v around the end, worst %v; %d of the keys 1 s after it",
			p.name, inShort(10_000, 1_000_000), own, file, quiet[len(quiet)*999/1000], around[len(around)*999/1000], around[len(around)-1], <-left)
	}
}

// fill sets n keys that end at one instant, and some that do not.
func fill(b *testing.B, addr string, n int, end time.Time) {
	b.Helper()
	c := dial(b, addr)
	value, at := strings.Repeat("v", 100), fmt.Sprint(end.UnixMilli())
	go func() {
		w := bufio.NewWriterSize(c, 1<<20)
		for i := range n {
			_, _ = w.WriteString(encode("SET", fmt.Sprintf("%032d", i), value, "PXAT", at))
		}
		for i := range 10_000 {
			_, _ = w.WriteString(encode("SET", fmt.Sprintf("other%d", i), value))
		}
		_ = w.Flush()
	}()
	for range n + 10_000 {
		if got, err := c.say(""); err != nil || got != "+OK\r\n" {
			b.Fatalf("%q, %v", got, err)
		}
	}
}

// latencies are those of 5,000 GETs a second on 20 connections, counted from when each was due, in order of size.
func latencies(b *testing.B, addr string, d time.Duration) (all []time.Duration) {
	b.Helper()
	const conns, each = 20, 4 * time.Millisecond
	out := make(chan []time.Duration, conns)
	for range conns {
		c := dial(b, addr)
		go func() {
			var took []time.Duration
			for due, stop := time.Now().Add(time.Duration(rand.Int64N(int64(each)))), time.Now().Add(d); due.Before(stop); due = due.Add(each) {
				time.Sleep(time.Until(due))
				if _, err := c.do("GET", fmt.Sprintf("other%d", rand.IntN(10_000))); err != nil {
					break
				}
				took = append(took, time.Since(due))
			}
			out <- took
		}()
	}
	for range conns {
		all = append(all, <-out...)
	}
	slices.Sort(all)
	return all
}

// sizeAt counts the keys that should have ended by then.
func sizeAt(b *testing.B, addr string, at time.Time) <-chan int {
	b.Helper()
	c, left := dial(b, addr), make(chan int, 1)
	time.AfterFunc(time.Until(at), func() {
		n := -1
		got, _ := c.say("DBSIZE")
		_, _ = fmt.Sscanf(got, ":%d", &n)
		left <- n - 10_000
	})
	return left
}
