package otp

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/state"
	"github.com/theseusd/theseus/sdk/supervise"
)

// BenchmarkBesideBEAM measures one thing after another here and on Erlang's machine, in one run: testdata/beam.erl does
// there what the functions below do here. Rates are for each second of the processors, collection of garbage and
// schedulers included, since machines are shared: x is how much ours is of theirs. Run it with -benchtime 1x.
func BenchmarkBesideBEAM(b *testing.B) {
	if _, err := exec.LookPath("erlc"); err != nil {
		b.Skip("no Erlang here; on Debian: apt-get install erlang-base")
	}
	dir := b.TempDir()
	if out, err := exec.Command("erlc", "-o", dir, "testdata/beam.erl").CombinedOutput(); err != nil {
		b.Fatalf("erlc: %v\n%s", err, out)
	}
	for _, g := range []struct {
		name string
		run  func(b *testing.B, beam map[string]figures)
	}{
		{"call", besideCalls},
		{"cast", besideCast},
		{"spawn", besideSpawn},
		{"idle", besideIdle},
		{"restart", besideRestart},
		{"ets", besideETS},
	} {
		b.Run(g.name, func(b *testing.B) { g.run(b, beam(b, dir, g.name)) })
	}
}

// figures of one line: by the clock and by the processors, or one and its unit.
type figures struct {
	clock, cpu float64
}

func beam(b *testing.B, dir, group string) map[string]figures {
	b.Helper()
	cmd := exec.Command("erl", "-noshell", "+P", "2000000", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none",
		"-kernel", "logger_level", "none", "-pa", dir, "-run", "beam", "main", group)
	cmd.Env = append(cmd.Environ(), "ERL_CRASH_DUMP_BYTES=0")
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("erl: %v\n%s", err, out)
	}
	list := map[string]figures{}
	for line := range bytes.Lines(out) {
		var name string
		var f figures
		if n, _ := fmt.Sscan(string(line), &name, &f.clock, &f.cpu); n >= 2 {
			list[name] = f
		}
	}
	return list
}

// beside runs ours five times and tells how the median compares, by the processors.
func beside(b *testing.B, theirs figures, n int, run func(n int)) {
	for range b.N {
		list := make([]figures, 5)
		for i := range list {
			list[i] = rate(n, run)
		}
		slices.SortFunc(list, func(x, y figures) int { return cmp.Compare(x.cpu, y.cpu) })
		show(b, list[len(list)/2], theirs)
	}
}

func show(b *testing.B, ours, theirs figures) {
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ours.cpu, "ours/cpu-s")
	b.ReportMetric(theirs.cpu, "beam/cpu-s")
	b.ReportMetric(ours.cpu/theirs.cpu, "x")
	b.ReportMetric(ours.clock/theirs.clock, "x-by-clock")
}

func rate(n int, run func(n int)) figures {
	began, used := time.Now(), processors()
	run(n)
	return figures{float64(n) / time.Since(began).Seconds(), float64(n) / (processors() - used).Seconds()}
}

// processors is the time that this process has used of them.
func processors() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func besideCalls(b *testing.B, beam map[string]figures) {
	for _, way := range waysToCall {
		b.Run(way.name(), func(b *testing.B) {
			n, pid := benchNode(b, way.inline)
			beside(b, beam[fmt.Sprintf("call/%d", way.callers)], 64*8000, func(count int) {
				way.call(b, n, pid, count)
			})
		})
	}
}

func benchNode(b *testing.B, inline bool) (*Node, PID) {
	n := New(Options{})
	b.Cleanup(n.Close)
	kind := benchCounter()
	kind.Inline = inline
	pid, err := Start(n, kind, nil)
	if err != nil {
		b.Fatal(err)
	}
	return n, pid
}

func besideCast(b *testing.B, beam map[string]figures) {
	n, pid := benchNode(b, false)
	beside(b, beam["cast"], 1_000_000, func(count int) {
		for range count {
			_ = Cast(n, pid, add{1})
		}
		_, _ = Call(n, pid, inc{By: 1})
	})
}

// besideSpawn starts a million processes; a full collection with them is told too.
func besideSpawn(b *testing.B, beam map[string]figures) {
	const many = 1_000_000
	n := New(Options{})
	defer n.Close()
	kind := benchCounter()
	ours := rate(many, func(count int) {
		for range count {
			_, _ = Start(n, kind, nil)
		}
	})
	show(b, ours, beam["spawn"])
	b.ReportMetric(1e6/ours.cpu, "cpu-µs/spawn")
	began := time.Now()
	runtime.GC()
	b.ReportMetric(float64(time.Since(began).Microseconds())/1000, "full-gc-ms")
}

func besideIdle(b *testing.B, beam map[string]figures) {
	const many = 200_000
	n := New(Options{})
	defer n.Close()
	kind := benchCounter()
	before := heap()
	for range many {
		_, _ = Start(n, kind, nil)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(heap()-before)/many, "ours-bytes")
	b.ReportMetric(beam["idle"].clock, "beam-bytes")
	b.ReportMetric(beam["hibernated"].clock, "beam-bytes-hibernated")
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// besideRestart is from the kill of a supervised process to the first answer of the next one.
func besideRestart(b *testing.B, beam map[string]figures) {
	n := New(Options{})
	defer n.Close()
	sup, err := supervise.New(supervise.Flags{Intensity: 1_000_000, Period: time.Second},
		supervise.ChildSpec{ID: "victim", Start: Child(n, benchCounter(), nil, Named("victim"))})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	ready := make(chan struct{})
	go func() { done <- sup.Run(ctx, func() { close(ready) }) }()
	<-ready
	var took []time.Duration
	for range 2000 {
		began := time.Now()
		SendExit(n, Name("victim"), ErrKilled)
		for {
			if _, err := Call(n, Name("victim"), inc{By: 1}); err == nil {
				break
			}
			runtime.Gosched()
		}
		took = append(took, time.Since(began))
	}
	stop()
	<-done
	slices.Sort(took)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, "ours-p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1000, "ours-p99-µs")
	b.ReportMetric(beam["restart/p50"].clock, "beam-p50-µs")
	b.ReportMetric(beam["restart/p99"].clock, "beam-p99-µs")
}

// row is as large as the one there.
type row struct {
	N    int64
	Text [16]byte
}

const etsRows = 1_000_000

func etsKey(i int) int { return i * 7919 % etsRows }

// besideETS uses tables of a million rows: in memory, as ets, and in the log, where each change outlives the process.
func besideETS(b *testing.B, beam map[string]figures) {
	t := NewTable[int, row](etsRows)
	for i := range etsRows {
		t.Put(i, row{N: int64(i)})
	}
	ops := func(name string, op func(i int)) {
		b.Run(name, func(b *testing.B) {
			beside(b, beam[name], etsRows, func(n int) {
				for i := range n {
					op(i)
				}
			})
		})
	}
	ops("lookup", func(i int) { _, _ = t.Get(etsKey(i)) })
	ops("insert", func(i int) { t.Put(etsKey(i), row{N: int64(i)}) })
	ops("counter", func(i int) { t.Update(etsKey(i), func(r *row) { r.N++ }) })
	t.Clear()
	besideETSInTheLog(b, beam)
}

// besideETSInTheLog has rows of bytes, whose first is the counter.
func besideETSInTheLog(b *testing.B, beam map[string]figures) {
	s, err := state.Open(b.TempDir(), state.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // of a benchmark
	t := state.NewTable(s, "ets", state.Schema[[]byte]{Name: "row"})
	ctx, stop := context.WithCancel(b.Context())
	if _, err := s.Load(ctx); err != nil {
		b.Fatal(err)
	}
	if _, err := s.Activate(ctx, nil); err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Follow(ctx) }()
	defer func() { stop(); <-done }()
	keys := make([]string, etsRows)
	value := make([]byte, 24)
	for i := range keys {
		keys[i] = fmt.Sprintf("%08d", i)
		_ = t.Put(keys[i], value)
	}
	for name, op := range map[string]func(i int){
		"lookup":  func(i int) { _, _ = t.Get(keys[etsKey(i)]) },
		"insert":  func(i int) { _ = t.Put(keys[etsKey(i)], value) },
		"counter": func(i int) { _, _ = t.Update(keys[etsKey(i)], counted) },
	} {
		b.Run(name+"/logged", func(b *testing.B) {
			beside(b, beam[name], etsRows, func(n int) {
				for i := range n {
					op(i)
				}
			})
		})
	}
}

func counted(v []byte, _ bool) ([]byte, error) {
	v[0]++
	return v, nil
}
