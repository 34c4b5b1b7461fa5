package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/theseusd/theseus/sdk/control"
)

// Of rates: RATES=2s in the environment measures for longer.
const (
	ratesRounds = 3
	ratesFor    = 100 * time.Millisecond
	ratesKeys   = 100_000
)

// front is a service behind a protocol, and what was measured of it in all rounds.
type front struct {
	name, service string
	client        func() client
	calls         int64
	took, cpu     time.Duration
}

// rates asks the cache and ratelimit in turn, by fifty clients each, and prints calls a second and what a call costs the
// service. Any call that fails fails the script.
func rates(ts *testscript.TestScript, neg bool, args []string) {
	i := instanceOf(ts)
	if neg || len(args) > 0 {
		ts.Fatalf("usage: rates")
	}
	long := ratesFor
	if word := os.Getenv("RATES"); word != "" {
		var err error
		long, err = time.ParseDuration(word)
		ts.Check(err)
	}
	fronts := []*front{
		{name: "cache SET", service: "cache", client: func() client { return &wire{protocol: setOverRESP{}, addr: i.resp} }},
		{name: "CL.THROTTLE", service: "ratelimit", client: func() client { return &wire{protocol: throttleOverRESP{}, addr: i.limits} }},
		{name: "Envoy RLS", service: "ratelimit", client: func() client { return &gateway{addr: i.rls} }},
	}
	for range ratesRounds {
		for _, f := range fronts {
			ts.Check(f.measure(i.pidOf(ts, f.service), long))
		}
	}
	base := fronts[0].rate()
	for _, f := range fronts {
		fmt.Fprintf(ts.Stdout(), "%-12s %8.0f calls/s  %5.1f us of CPU a call  %.2f\n",
			f.name, f.rate(), float64(f.cpu.Microseconds())/float64(f.calls), f.rate()/base)
	}
}

func (f *front) rate() float64 { return float64(f.calls) / f.took.Seconds() }

func (i *instance) pidOf(ts *testscript.TestScript, service string) (pid int) {
	i.until(ts, service+" to run", func(s control.Status) bool {
		for _, one := range s.Services {
			if one.Name == service {
				pid = one.PID
			}
		}
		return pid > 0
	})
	return pid
}

func (f *front) measure(pid int, long time.Duration) error {
	var calls atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	before, began := cpuOf(pid), time.Now()
	for range limited {
		all.Go(func() {
			c := f.client()
			defer c.drop()
			for time.Since(began) < long {
				if _, err := c.ask("user:"+strconv.Itoa(rand.IntN(ratesKeys)), true); err != nil {
					failed.Store(&err)
					return
				}
				calls.Add(1)
			}
		})
	}
	all.Wait()
	f.calls, f.took, f.cpu = f.calls+calls.Load(), f.took+time.Since(began), f.cpu+cpuOf(pid)-before
	if err := failed.Load(); err != nil {
		return fmt.Errorf("%s: %w", f.name, *err)
	}
	return nil
}

// cpuOf is the time that a process has used, in hundredths of a second.
func cpuOf(pid int) time.Duration {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// setOverRESP sets a key to 100 bytes.
type setOverRESP struct{}

var hundred = strings.Repeat("v", 100)

func (setOverRESP) ask(out io.Writer, in *bufio.Reader, user string, _ bool) (int64, error) {
	if _, err := fmt.Fprintf(out, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$100\r\n%s\r\n", len(user), user, hundred); err != nil {
		return 0, err
	}
	line, err := in.ReadString('\n')
	if err == nil && line != "+OK\r\n" {
		err = errors.New(line)
	}
	return 0, err
}

// throttleOverRESP asks for one of ten in a second.
type throttleOverRESP struct{}

func (throttleOverRESP) ask(out io.Writer, in *bufio.Reader, user string, _ bool) (int64, error) {
	if _, err := fmt.Fprintf(out, "*5\r\n$11\r\nCL.THROTTLE\r\n$%d\r\n%s\r\n$1\r\n9\r\n$2\r\n10\r\n$1\r\n1\r\n", len(user), user); err != nil {
		return 0, err
	}
	for range 6 {
		line, err := in.ReadSlice('\n')
		if err == nil && line[0] == '-' {
			err = errors.New(string(line))
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, nil
}
