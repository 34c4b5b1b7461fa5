package keel

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/theseusd/theseus/daemon/internal/proc"
)

// This test binary is also the keel and the daemon of the tests: TestMain looks at its first argument.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "keel" {
		os.Exit(keelMain(os.Args[2], os.Args[3:]))
	}
	if len(os.Args) > 2 && os.Args[1] == "daemon" {
		os.Exit(daemonMain(os.Args[2], os.Args[3:]))
	}
	os.Exit(m.Run())
}

func keelMain(run string, modes []string) int {
	silence := 500 * time.Millisecond
	if slices.Contains(modes, "calm") {
		silence = DefaultSilence
	}
	err := Run(context.Background(), Config{
		Run: run, Args: append([]string{"daemon", run}, modes...), Silence: silence,
		Grace: time.Second, MaxBackoff: 200 * time.Millisecond, Prepare: 3 * time.Second, LetGo: time.Second, TakeOver: 3 * time.Second,
		Logger: hclog.New(&hclog.LoggerOptions{Name: "keel", Level: hclog.Debug, Output: os.Stderr}),
	})
	var gave *ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &gave):
		return gave.Code
	case errors.Is(err, ErrForced):
		return 5
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// daemonMain answers every connection with its pid.
func daemonMain(run string, modes []string) int {
	has := func(mode string) bool {
		for _, m := range modes {
			if m == mode {
				return true
			}
		}
		return false
	}
	if has("giveup") {
		return 78
	}
	c, err := Connect(FD)
	if err != nil {
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() { _ = c.Beat(ctx, func() {}) }()
	if has(Stop) {
		return stopperMain(run, has)
	}
	if has(Beside) && !besideMain(run, c, has) {
		return 3
	}
	for name, a := range map[string]Address{
		"tcp": {"web", "http", "tcp", "127.0.0.1:0"}, "unix": {"web", "control", "unix", filepath.Join(run, "web.sock")},
	} {
		l, err := c.Listen(ctx, a)
		if err != nil {
			fmt.Fprintln(os.Stderr, "daemon:", err)
			return 1
		}
		f := os.NewFile(uintptr(l.FD), name)
		ln, err := net.FileListener(f)
		if err != nil {
			return 1
		}
		_ = os.WriteFile(filepath.Join(run, name+".tmp"), []byte(l.Addr), 0o600)
		_ = os.Rename(filepath.Join(run, name+".tmp"), filepath.Join(run, name+".addr"))
		go serve(ln)
	}
	if has("orphan") {
		// The shell dies at once and leaves a child, which the keel has to reap.
		_ = exec.Command("sh", "-c", "sleep 0.2 & echo $! >"+filepath.Join(run, "orphan")).Run()
	}
	if has("sleeper") {
		sleep := exec.Command("sh", "-c", "sleep 300 & wait")
		sleep.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		_ = sleep.Start()
		_ = os.WriteFile(filepath.Join(run, "sleeper"), fmt.Appendln(nil, sleep.Process.Pid), 0o600)
	}
	if has("unready") {
		select {}
	}
	if _, err := c.Ready(ctx); err != nil {
		return 1
	}
	_ = os.WriteFile(readyFile(run, os.Getpid()), nil, 0o600)
	told := whenTold(ctx, run, c, has)
	if has("loops") {
		return 6
	}
	select {
	case <-told:
		if has("clings") {
			select {}
		}
		return 0
	case <-ctx.Done():
		if has("stubborn") {
			select {}
		}
		_ = os.WriteFile(filepath.Join(run, "stopped"), nil, 0o600)
		return 0
	case <-c.Lost():
		_ = os.WriteFile(filepath.Join(run, "lost"), nil, 0o600)
		if has("lingers") {
			select {}
		}
		return 0
	}
}

func serve(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		fmt.Fprintln(conn, os.Getpid())
		conn.Close()
	}
}

type instance struct {
	*testing.T
	run string
	cmd *exec.Cmd
}

func launch(t *testing.T, run string, modes ...string) *instance {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return launchProgram(t, exe, run, modes...)
}

func launchProgram(t *testing.T, exe, run string, modes ...string) *instance {
	t.Helper()
	cmd := exec.Command(exe, append([]string{"keel", run}, modes...)...)
	cmd.Stderr = t.Output()
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0") // else the race detector holds up every exit
	cmd.WaitDelay = 100 * time.Millisecond                     // a daemon that outlives its keel holds the pipe
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &instance{t, run, cmd}
}

func eventually[T any](t *testing.T, what string, f func() (T, error)) T {
	t.Helper()
	limit := time.Now().Add(8 * time.Second)
	for {
		v, err := f()
		if err == nil {
			return v
		}
		if time.Now().After(limit) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (i *instance) number(file string) int {
	i.Helper()
	return eventually(i.T, file, func() (int, error) {
		text, err := os.ReadFile(filepath.Join(i.run, file))
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(strings.TrimSpace(string(text)))
	})
}

// pid asks a listener for the daemon's pid.
func (i *instance) pid(network string) (int, error) {
	addr, err := os.ReadFile(filepath.Join(i.run, network+".addr"))
	if err != nil {
		return 0, err
	}
	conn, err := net.Dial(network, string(addr))
	if err != nil {
		return 0, fmt.Errorf("refused: %w", err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(line))
}

// daemon is one that is ready: the keel ends with a first daemon that dies before that.
func (i *instance) daemon() int {
	i.Helper()
	return eventually(i.T, "daemon", func() (int, error) {
		pid, err := i.pid("tcp")
		if err == nil {
			_, err = os.Stat(readyFile(i.run, pid))
		}
		return pid, err
	})
}

func readyFile(run string, pid int) string { return filepath.Join(run, "ready-"+strconv.Itoa(pid)) }

func (i *instance) anotherThan(old int) int {
	i.Helper()
	return eventually(i.T, "another daemon", func() (int, error) {
		pid, err := i.pid("tcp")
		if err == nil && pid == old {
			err = errors.New("still the old one")
		}
		return pid, err
	})
}

func (i *instance) exitCode() int {
	i.Helper()
	done := make(chan struct{})
	go func() { _ = i.cmd.Wait(); close(done) }()
	select {
	case <-done:
		return i.cmd.ProcessState.ExitCode()
	case <-time.After(8 * time.Second):
		i.Fatal("the keel does not end")
		return -1
	}
}

func (i *instance) gone(pid int) {
	i.Helper()
	eventually(i.T, "end of a process", func() (int, error) {
		if _, err := proc.Of(pid); !errors.Is(err, proc.ErrGone) {
			return 0, fmt.Errorf("pid %d is alive (%v)", pid, err)
		}
		return 0, nil
	})
}

func TestListenersOutliveTheDaemonAndNeverRefuse(t *testing.T) {
	i := launch(t, t.TempDir())
	first := i.daemon()
	var refused, asked atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for n := 0; ctx.Err() == nil; n++ {
			// A connection that the dead daemon had accepted ends early; what may not happen is a refusal.
			if _, err := i.pid([]string{"tcp", "unix"}[n%2]); err != nil && strings.Contains(err.Error(), "refused") {
				refused.Add(1)
			}
			asked.Add(1)
		}
	}()
	for asked.Load() < 2 {
		time.Sleep(time.Millisecond) // the clients are at it
	}
	for range 3 {
		if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		first = i.anotherThan(first)
	}
	stop()
	<-finished
	if refused.Load() > 0 || asked.Load() < 4 {
		t.Errorf("%d of %d connections refused", refused.Load(), asked.Load())
	}
}

func TestHungDaemonIsReplaced(t *testing.T) {
	i := launch(t, t.TempDir())
	hung := i.daemon()
	if err := syscall.Kill(hung, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	i.anotherThan(hung)
	i.gone(hung)
}

func TestOrphansAreReaped(t *testing.T) {
	i := launch(t, t.TempDir(), "orphan")
	i.daemon()
	pid := i.number("orphan")
	eventually(t, "reaping", func() (int, error) {
		_, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid)))
		if errors.Is(err, os.ErrNotExist) {
			return 0, nil
		}
		return 0, errors.New("still there, or a zombie")
	})
}

func TestStopIsOrderly(t *testing.T) {
	i := launch(t, t.TempDir(), "sleeper")
	i.daemon()
	sleeper := i.number("sleeper")
	_ = i.cmd.Process.Signal(syscall.SIGTERM)
	if code := i.exitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(filepath.Join(i.run, "stopped")); err != nil {
		t.Errorf("the daemon was not told: %v", err)
	}
	if _, err := os.Stat(filepath.Join(i.run, "web.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
	i.gone(sleeper)
}

func TestStubbornDaemonIsKilled(t *testing.T) {
	for _, signals := range []int{1, 2} {
		i := launch(t, t.TempDir(), "stubborn", "sleeper")
		daemon := i.daemon()
		sleeper := i.number("sleeper")
		began := time.Now()
		for range signals {
			_ = i.cmd.Process.Signal(syscall.SIGINT)
			time.Sleep(50 * time.Millisecond) // two signals of a kind at once are one
		}
		if code := i.exitCode(); code != 5 {
			t.Errorf("%d signals: exit code %d", signals, code)
		}
		if took := time.Since(began); signals == 2 && took > 900*time.Millisecond {
			t.Errorf("the second signal did not act at once: %s", took)
		}
		i.gone(daemon)
		i.gone(sleeper)
	}
}

func TestSecondKeelIsRefused(t *testing.T) {
	i := launch(t, t.TempDir())
	i.daemon()
	err := Run(t.Context(), Config{Run: i.run})
	var locked *LockedError
	if !errors.As(err, &locked) || locked.PID != strconv.Itoa(i.cmd.Process.Pid) {
		t.Errorf("%v does not name %d", err, i.cmd.Process.Pid)
	}
}

func TestBrokenNewProgramIsPassedOver(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	installed := filepath.Join(t.TempDir(), "theseusd")
	if err := os.WriteFile(installed, text, 0o700); err != nil {
		t.Fatal(err)
	}
	i := launchProgram(t, installed, t.TempDir())
	old := i.daemon()
	broken := installed + ".new"
	if err := os.WriteFile(broken, []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(broken, installed); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	i.anotherThan(old)
}

func TestDaemonThatRefusesToBeginEndsTheKeel(t *testing.T) {
	if code := launch(t, t.TempDir(), "giveup").exitCode(); code != 78 {
		t.Errorf("exit code %d", code)
	}
}

func TestKilledKeelIsNoticedAndReplaced(t *testing.T) {
	run := t.TempDir()
	i := launch(t, run, "lingers")
	daemon := i.daemon()
	_ = i.cmd.Process.Kill()
	_ = i.cmd.Wait()
	eventually(t, "the daemon's notice", func() (os.FileInfo, error) { return os.Stat(filepath.Join(run, "lost")) })
	next := launch(t, run)
	if pid := next.anotherThan(daemon); pid == daemon {
		t.Error("the old daemon serves")
	}
	next.gone(daemon)
}

func TestListenersAreKeptApart(t *testing.T) {
	var l listeners
	defer l.closeAll()
	dir := t.TempDir()
	sock, file, link, foreign := filepath.Join(dir, "a.sock"), filepath.Join(dir, "data"), filepath.Join(dir, "link"), filepath.Join(dir, "foreign")
	somebody, err := net.Listen("unix", foreign)
	if err = errors.Join(err, os.WriteFile(file, []byte("precious"), 0o600), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	defer somebody.Close()
	first, err := l.open(Address{"a", "http", "tcp", "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		a    Address
		want func(h held, err error) error
	}{
		{"the same again", Address{"a", "http", "tcp", "127.0.0.1:0"}, func(h held, err error) error {
			return expect(err == nil && h.fd == first.fd, h, err)
		}},
		{"another's free port", Address{"b", "http", "tcp", "127.0.0.1:0"}, func(h held, err error) error {
			return expect(err == nil && h.fd != first.fd && h.real != first.real, h, err)
		}},
		{"another's fixed port", Address{"b", "http", "tcp", first.real}, func(h held, err error) error {
			return expect(err != nil && strings.Contains(err.Error(), `listener "http" of a`), h, err)
		}},
		{"a unix socket", Address{"a", "control", "unix", sock}, func(h held, err error) error {
			info, serr := os.Stat(sock)
			return expect(err == nil && serr == nil && info.Mode().Perm() == 0o600, h, errors.Join(err, serr))
		}},
		{"the same unix socket by another name", Address{"a", "verbs", "unix", sock}, func(h held, err error) error {
			return expect(err == nil && h.Name == "control", h, err)
		}},
	} {
		if err := c.want(l.open(c.a)); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for name, path := range map[string]string{"another's unix socket": sock, "a file": file, "a link": link, "somebody's": foreign} {
		before, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if h, err := l.open(Address{"b", "http", "unix", path}); err == nil {
			t.Errorf("%s was taken: %+v", name, h)
		}
		if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s is gone: %v", name, err)
		}
	}
	l.retain("a", []Address{{"a", "verbs", "unix", sock}})
	if _, err := net.Dial("tcp", first.real); err == nil {
		t.Error("a listener that nobody wants is open")
	}
	if conn, err := net.Dial("unix", sock); err != nil {
		t.Errorf("a listener that is wanted: %v", err)
	} else {
		conn.Close()
	}
	if len(l.all) != 2 {
		t.Errorf("held: %v", l.all)
	}
}

func expect(ok bool, h held, err error) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%+v, %v", h, err)
}

func TestClientSeesRefusalsAndTheEnd(t *testing.T) {
	ours, theirs, err := socketpair()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Connect(theirs)
	if err != nil {
		t.Fatal(err)
	}
	k := newKeel(Config{Logger: hclog.NewNullLogger()})
	k.child = &child{conn: ours}
	go k.receive(k.child)
	go func() {
		for {
			select {
			case m := <-k.inbox:
				k.answer(m)
			case <-k.ended:
				return
			}
		}
	}()
	if _, err := c.Listen(t.Context(), Address{"a", "x", "tcp", "300.0.0.1:1"}); err == nil {
		t.Error("a bad address is accepted")
	}
	if first, err := c.Ready(t.Context()); err != nil || !first {
		t.Errorf("first ready: %v, %v", first, err)
	}
	if first, err := c.Ready(t.Context()); err != nil || first {
		t.Errorf("second ready: %v, %v", first, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Listen(ctx, Address{"a", "x", "tcp", "127.0.0.1:0"}); !errors.Is(err, context.Canceled) && err != nil {
		t.Errorf("cancelled: %v", err)
	}
	close(k.ended)
	ours.Close()
	<-c.Lost()
	if _, err := c.Ready(t.Context()); !errors.Is(err, ErrLost) {
		t.Errorf("after the end: %v", err)
	}
	k.held.closeAll()
}
