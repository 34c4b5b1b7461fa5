package proc

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
)

func start(t *testing.T, name string, args ...string) (ID, *Handle) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	fd := -1
	pid, _, err := syscall.StartProcess(path, append([]string{name}, args...),
		&syscall.ProcAttr{Sys: &syscall.SysProcAttr{PidFD: &fd}})
	if err != nil {
		t.Fatal(err)
	}
	h, err := Adopt(pid, fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Signal(syscall.SIGKILL); <-h.Done() })
	return h.ID(), h
}

func TestDeathIsSeenAndToldInWords(t *testing.T) {
	for _, c := range []struct{ script, want string }{
		{"exit 0", "exit status 0"}, {"exit 7", "exit status 7"}, {"kill -9 $$", "signal: killed"},
	} {
		_, h := start(t, "sh", "-c", c.script)
		select {
		case <-h.Done():
		case <-time.After(5 * time.Second):
			t.Fatalf("%s: death not seen", c.script)
		}
		if got := h.Exit(); got != c.want {
			t.Errorf("%s: %q, want %q", c.script, got, c.want)
		}
		if err := h.Signal(syscall.SIGTERM); !errors.Is(err, ErrGone) {
			t.Errorf("%s: signal to the dead: %v", c.script, err)
		}
	}
}

func TestIdentityIsMoreThanThePid(t *testing.T) {
	id, h := start(t, "sleep", "60")
	if !id.Alive() {
		t.Fatal("a running process is not alive")
	}
	for _, other := range []ID{{id.PID, id.Start + 1, id.Boot}, {id.PID, id.Start, "another boot"}} {
		if _, err := Open(other); other.Alive() || !errors.Is(err, ErrGone) {
			t.Errorf("%+v was taken for the process: %v", other, err)
		}
		if err := Kill(t.Context(), other); err != nil || !id.Alive() {
			t.Fatalf("a stranger was killed (%v)", err)
		}
	}
	if err := Kill(t.Context(), id); err != nil || id.Alive() {
		t.Fatalf("kill: %v, alive %v", err, id.Alive())
	}
	<-h.Done()
}

func TestProcessesAreFoundByParentAndByProgram(t *testing.T) {
	dir := t.TempDir()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	if sleep, err = filepath.EvalSymlinks(sleep); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(dir, "service")
	if err := os.WriteFile(own, text, 0o700); err != nil {
		t.Fatal(err)
	}
	id, _ := start(t, own, "60")
	other, _ := start(t, "sleep", "60")
	found, err := Running(dir)
	if err != nil || !slices.Equal(found, []ID{id}) {
		t.Errorf("below %s run %v (%v), want %v", dir, found, err, id)
	}
	children, err := Children(os.Getpid())
	if err != nil || !slices.Contains(children, id) || !slices.Contains(children, other) {
		t.Errorf("children %v (%v), want %v and %v among them", children, err, id, other)
	}
	if RSS(id.PID) == 0 {
		t.Error("no memory is resident")
	}
}

func TestWaitEndsWithTheContext(t *testing.T) {
	_, h := start(t, "sleep", "60")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("wait: %v", err)
	}
}

func TestNamesOfProgramsDoNotConfuseStat(t *testing.T) {
	text := "42 (a) R 9 (b) S 7 1 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 12345 1000 77 0 0 0"
	s, err := parseStat([]byte(text))
	if want := (stat{'S', 7, 12345, 77}); err != nil || s != want {
		t.Errorf("%+v (%v), want %+v", s, err, want)
	}
	if _, err := parseStat([]byte("42 (a) S 7")); err == nil {
		t.Error("half a line is accepted")
	}
}

func TestWhoIsTraced(t *testing.T) {
	runtime.LockOSThread() // the thread that starts it is the one that traces it
	defer runtime.UnlockOSThread()
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		t.Skipf("nothing can be traced here: %v", err)
	}
	if !Traced(cmd.Process.Pid) || Traced(os.Getpid()) {
		t.Errorf("the child is traced: %t, this process: %t", Traced(cmd.Process.Pid), Traced(os.Getpid()))
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if Traced(cmd.Process.Pid) {
		t.Error("one that is gone is traced")
	}
}
