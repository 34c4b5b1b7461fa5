package state

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

const childDir = "STATE_TEST_WRITER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(childWriter(dir))
	}
	os.Exit(m.Run())
}

// child is another process that writes row after row and prints the number of each that was acknowledged.
type child struct {
	cmd   *exec.Cmd
	out   *bufio.Scanner
	acked int // rows 0 to acked-1
}

// childWriter is the other process.
func childWriter(dir string) int {
	s, err := Open(dir, Options{SegmentSize: 1 << 18, Logger: quiet})
	if err != nil {
		panic(err)
	}
	kv := NewTable(s, "kv", Schema[[]byte]{Name: "blob"})
	must(s.Load(noContext))
	must(s.Activate(noContext, nil))
	for n := 0; ; n++ {
		err := kv.Put(strconv.Itoa(n), fmt.Append(nil, n))
		if errors.Is(err, ErrNotWriter) {
			return 3
		}
		must(0, err)
		if _, err := fmt.Println(n); err != nil {
			return 4
		}
	}
}

func startChild(t *testing.T, dir string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), childDir+"="+dir)
	c.cmd.Stderr = os.Stderr
	out := must(c.cmd.StdoutPipe())
	must(0, c.cmd.Start())
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	c.out = bufio.NewScanner(out)
	return c
}

// read takes acknowledgements: n of them, or all that come until the process ends.
func (c *child) read(t *testing.T, n int) {
	t.Helper()
	for i := 0; i != n && c.out.Scan(); i++ {
		if got := must(strconv.Atoi(c.out.Text())); got != c.acked {
			t.Fatalf("the writer acknowledged %d after %d", got, c.acked-1)
		}
		c.acked++
	}
}

func (c *child) kept(t *testing.T, kv *Table[[]byte]) {
	t.Helper()
	for n := range c.acked {
		if v, ok := kv.Get(strconv.Itoa(n)); !ok || string(v) != strconv.Itoa(n) {
			t.Fatalf("row %d of %d acknowledged ones is %q, %v", n, c.acked, v, ok)
		}
	}
}

func TestAKilledWriterLosesNothing(t *testing.T) {
	for i := range 8 {
		dir := memDir(t)
		c := startChild(t, dir)
		c.read(t, 500+rand.IntN(5000))
		must(0, c.cmd.Process.Kill())
		c.read(t, -1)
		_ = c.cmd.Wait()
		s, kv := openBytes(t, dir, Options{})
		n, err := s.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if int(n) != c.acked && int(n) != c.acked+1 { // one may have been committed and not told
			t.Errorf("round %d: %d rows for %d acknowledged ones", i, n, c.acked)
		}
		c.kept(t, kv)
	}
}

func TestAStoppedWriterNeverAcknowledgesAfterTheFence(t *testing.T) {
	for range 12 {
		dir := t.TempDir()
		c := startChild(t, dir)
		c.read(t, 200)
		s, kv := openBytes(t, dir, Options{SegmentSize: 1 << 18})
		must(s.Load(t.Context()))
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			c.read(t, -1)
		}()
		time.Sleep(time.Duration(rand.IntN(20_000)) * time.Microsecond)
		must(0, c.cmd.Process.Signal(syscall.SIGSTOP))
		must(s.Activate(t.Context(), nil))
		final := kv.Len()
		must(0, kv.Put("mine", nil))
		must(0, c.cmd.Process.Signal(syscall.SIGCONT))
		<-drained
		if err := c.cmd.Wait(); c.cmd.ProcessState.ExitCode() != 3 {
			t.Fatalf("the fenced writer ended with %v", err)
		}
		if c.acked > final {
			t.Errorf("%d rows were acknowledged, %d were in the log when it was fenced", c.acked, final)
		}
		c.kept(t, kv)
		again, other := openBytes(t, dir, Options{})
		must(again.Load(t.Context()))
		sameRows(t, kv, other)
	}
}

func TestAFollowerInAnotherProcessTakesOverUnderLoad(t *testing.T) {
	dir := t.TempDir()
	c := startChild(t, dir)
	c.read(t, 200)
	s, kv := openBytes(t, dir, Options{SegmentSize: 1 << 18})
	must(s.Load(t.Context()))
	keep(t, s)
	c.read(t, 20_000)
	awaitSpare(t, s)
	must(s.Activate(t.Context(), nil))
	c.read(t, -1)
	c.kept(t, kv)
}
