package host

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/theseusd/theseus/daemon/internal/proc"
	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades"
)

func (f *fixture) start(version string) *instance {
	f.Helper()
	in, err := f.Start(f.Context(), f.shelf["d"+version])
	if err != nil {
		f.Fatal(err)
	}
	return in.(*instance)
}

func (f *fixture) serve(version string) *instance {
	f.Helper()
	in := f.start(version)
	if _, err := in.Activate(f.Context(), nil, false); err != nil {
		f.Fatal(err)
	}
	f.Give("fake", in)
	return in
}

func (f *fixture) signal(in *instance, sig syscall.Signal) {
	f.Helper()
	if err := in.handle.Signal(sig); err != nil {
		f.Fatal(err)
	}
	for sig == syscall.SIGSTOP {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", in.record.PID))
		if err != nil {
			f.Fatal(err)
		}
		if strings.Contains(string(text), ") T ") {
			return
		}
	}
}

func (f *fixture) status() control.ServiceStatus {
	list := f.Services()
	if len(list) != 1 {
		return control.ServiceStatus{}
	}
	return list[0]
}

// until waits for a state of the service.
func (f *fixture) until(what string, ok func(s control.ServiceStatus) bool) control.ServiceStatus {
	f.Helper()
	limit := time.Now().Add(10 * time.Second)
	for {
		s := f.status()
		if ok(s) {
			return s
		}
		if time.Now().After(limit) {
			f.Fatalf("never %s: %+v", what, s)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (f *fixture) gone(id proc.ID) {
	f.Helper()
	limit := time.Now().Add(5 * time.Second)
	for id.Alive() {
		if time.Now().After(limit) {
			f.Fatalf("pid %d is alive", id.PID)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// answer asks the service's listener who serves.
func (f *fixture) answer() string {
	f.Helper()
	conn, err := net.Dial("tcp", f.status().Listeners["http"])
	if err != nil {
		f.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	text, err := io.ReadAll(conn)
	if err != nil {
		f.Fatal(err)
	}
	return string(text)
}

func TestServiceStartsServesAndStops(t *testing.T) {
	t.Setenv("SECRET", "not for services")
	f := newFixture(t, testDir(t))
	in := f.serve("1.0.0")
	s := f.status()
	if s.State != "running" || s.PID != in.record.PID || s.Version != "1.0.0" || s.Command != "fakectl" ||
		s.Rows["t"] != 7 || s.RSS == 0 || len(s.Listeners) != 1 {
		t.Errorf("status %+v", s)
	}
	if got := f.answer(); got != fmt.Sprint(in.record.PID) {
		t.Errorf("%q serves", got)
	}
	if to, err := os.Readlink(filepath.Join(f.dir, "run", "fakectl.sock")); err != nil || to != "fake.sock" {
		t.Errorf("the command leads to %q (%v)", to, err)
	}
	if in.Describe().Name != "fake" || len(f.keel.retained["fake"]) == 0 {
		t.Errorf("description %+v, retained %v", in.Describe(), f.keel.retained)
	}
	f.checkBirth(in)
	if err := f.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	f.gone(in.record.ID)
	if left, _ := filepath.Glob(filepath.Join(f.dir, "run", "fake-*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// checkBirth looks at what the process was born with.
func (f *fixture) checkBirth(in *instance) {
	f.Helper()
	text, err := os.ReadFile(filepath.Join(f.dir, "state", "fake", "opened"))
	if err != nil {
		f.Fatal(err)
	}
	var born struct {
		Env    []string
		Config string
		Cwd    string
		Pgid   int
	}
	if err := json.Unmarshal(text, &born); err != nil {
		f.Fatal(err)
	}
	env := strings.Join(born.Env, "\n")
	if strings.Contains(env, "SECRET") || !strings.Contains(env, "THESEUS_LISTENERS=control=3,http=4") ||
		!strings.Contains(env, "THESEUS_LOG_FORMAT=json") {
		f.Errorf("environment:\n%s", env)
	}
	if born.Config != `{"a":1}` || born.Pgid != in.record.PID || born.Cwd != filepath.Join(f.dir, "state", "fake") {
		f.Errorf("born as %+v", born)
	}
	for fd, want := range map[int]string{0: "/dev/null"} {
		if got, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", in.record.PID, fd)); got != want {
			f.Errorf("descriptor %d is %s", fd, got)
		}
	}
}

func TestCrashedServiceIsRestarted(t *testing.T) {
	f := newFixture(t, testDir(t))
	in := f.serve("1.0.0")
	f.signal(in, syscall.SIGKILL)
	s := f.until("another process", func(s control.ServiceStatus) bool {
		return s.State == "running" && s.PID != 0 && s.PID != in.record.PID
	})
	if s.Restarts != 1 || f.answer() != fmt.Sprint(s.PID) {
		t.Errorf("status %+v", s)
	}
	// It is in no probation, in which it would answer another version's addresses too.
	if pid, err := os.ReadFile(filepath.Join(f.dir, "state", "fake", "settled")); err != nil || string(pid) != fmt.Sprint(s.PID) {
		t.Errorf("settled: %q, %v", pid, err)
	}
	if err := in.Health(t.Context()); !errors.Is(err, upgrades.ErrGone) {
		t.Errorf("a dead process answers %v", err)
	}
}

// One that does not settle when it is started again serves all the same; whoever cares for that is told.
func TestRestartedServiceThatDoesNotSettleIsTold(t *testing.T) {
	f := newFixture(t, testDir(t))
	told := make(chan upgrades.Instance, 1)
	f.o.Unsettled = func(in upgrades.Instance) { told <- in }
	in := f.serve("1.0.0")
	note := filepath.Join(f.dir, "state", "fake", "settled")
	_ = os.Remove(note)
	if err := os.Mkdir(note, 0o700); err != nil { // where the note of it would be
		t.Fatal(err)
	}
	f.signal(in, syscall.SIGKILL)
	s := f.until("another process", func(s control.ServiceStatus) bool {
		return s.State == "running" && s.PID != 0 && s.PID != in.record.PID
	})
	select {
	case again := <-told:
		if pid := again.(*instance).record.PID; pid != s.PID {
			t.Errorf("told of %d, and %d serves", pid, s.PID)
		}
	case <-time.After(10 * time.Second):
		t.Error("nobody is told")
	}
}

func TestTooManyCrashesFailTheService(t *testing.T) {
	f := newFixture(t, testDir(t))
	noted := make(chan control.Event, 100)
	f.o.Note = func(e control.Event) { noted <- e }
	last := f.serve("1.0.0").record.PID
	for range 3 {
		_ = syscall.Kill(last, syscall.SIGKILL)
		last = f.until("another process", func(s control.ServiceStatus) bool { return s.PID != 0 && s.PID != last }).PID
	}
	_ = syscall.Kill(last, syscall.SIGKILL)
	s := f.until("failed", func(s control.ServiceStatus) bool { return s.State == "failed" })
	if !strings.Contains(s.Reason, "signal: killed") {
		t.Errorf("reason %q", s.Reason)
	}
	for _, want := range []string{"crashed", "restarted", "crashed", "restarted", "crashed", "restarted", "crashed", "failed"} {
		e := <-noted
		if e.Kind != want || e.Service != "fake" || e.Text != "1.0.0" || (e.Kind != "restarted") != (e.Reason != "") {
			t.Errorf("noted %+v, want %s", e, want)
		}
	}
	f.Take("fake")
	f.Give("fake", upgrades.Gone(f.shelf["d1.0.0"])) // somebody has mended it
	f.until("running again", func(s control.ServiceStatus) bool { return s.State == "running" && s.PID != 0 })
}

func TestFailedRestartsCount(t *testing.T) {
	t.Setenv("THESEUS_TEST", "activate-dies")
	f := newFixture(t, testDir(t))
	f.Give("fake", upgrades.Gone(f.shelf["d1.0.0"]))
	s := f.until("failed", func(s control.ServiceStatus) bool { return s.State == "failed" })
	if s.Restarts != 0 || !strings.Contains(s.Reason, "3 restarts") || !strings.Contains(s.Reason, "exit status 3") {
		t.Errorf("status %+v", s)
	}
}

func TestTakenServiceIsLeftAlone(t *testing.T) {
	f := newFixture(t, testDir(t))
	old := f.serve("1.0.0")
	if got := f.Take("fake"); got != old {
		t.Fatalf("%v serves", got)
	}
	young := f.start("2.0.0")
	if got := len(f.Instances("fake")); got != 2 {
		t.Errorf("%d instances", got)
	}
	if err := old.Pair(t.Context(), young); err != nil {
		t.Error(err)
	}
	f.signal(old, syscall.SIGKILL)
	<-old.Done()
	if s := f.status(); s.Restarts != 0 || len(s.Standbys) != 1 || s.Standbys[0].Role != "standby" {
		t.Errorf("status %+v", s)
	}
	if _, err := young.Activate(t.Context(), nil, false); err != nil {
		t.Fatal(err)
	}
	if s := f.status(); s.PID != young.record.PID || s.Version != "2.0.0" {
		t.Errorf("the active one is not shown: %+v", s)
	}
	f.Give("fake", young)
	f.signal(young, syscall.SIGKILL)
	s := f.until("restarted", func(s control.ServiceStatus) bool { return s.Restarts == 1 })
	if s.Version != "2.0.0" {
		t.Errorf("version %s was restarted", s.Version)
	}
}

// A service that is new is given to the host when its probation is over, but what serves is not "starting" until then.
func TestNewServiceThatServesIsShownAsRunning(t *testing.T) {
	f := newFixture(t, testDir(t))
	f.Take("fake")
	in := f.start("1.0.0")
	if s := f.status(); s.State != stateStarting || s.PID != 0 {
		t.Errorf("a standby: %+v", s)
	}
	if _, err := in.Activate(t.Context(), nil, false); err != nil {
		t.Fatal(err)
	}
	if s := f.status(); s.State != stateRunning || s.PID != in.record.PID {
		t.Errorf("it serves: %+v", s)
	}
}

func TestGivenDeadIsRestartedAtOnce(t *testing.T) {
	f := newFixture(t, testDir(t))
	in := f.serve("1.0.0")
	f.Take("fake")
	f.signal(in, syscall.SIGKILL)
	<-in.Done()
	f.Give("fake", in)
	f.until("running", func(s control.ServiceStatus) bool { return s.State == "running" && s.PID != 0 })
}

func TestServiceGivenUpIsNotShown(t *testing.T) {
	f := newFixture(t, testDir(t))
	in := f.serve("1.0.0")
	f.Take("fake")
	if err := in.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	f.Give("fake", nil)
	if list := f.Services(); len(list) > 0 || len(f.keel.retained["fake"]) > 0 {
		t.Errorf("services %+v, retained %v", list, f.keel.retained)
	}
}

func TestStartThatFailsSaysWhy(t *testing.T) {
	t.Setenv("THESEUS_TEST", "open-fails")
	f := newFixture(t, testDir(t))
	_, err := f.Start(t.Context(), f.shelf["d1.0.0"])
	if err == nil || !strings.Contains(err.Error(), "the log is from the future") {
		t.Errorf("error %v", err)
	}
	if s := f.status(); s.State != "failed" || !strings.Contains(s.Reason, "future") {
		t.Errorf("status %+v", s)
	}
	p := f.shelf["d2.0.0"]
	if err := os.Remove(p.Binary()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.Binary(), []byte("#!/bin/sh\nexit 9\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Start(t.Context(), p); err == nil || !strings.Contains(err.Error(), "exit status 9") {
		t.Errorf("error %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(f.dir, "run", "plugin*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	f := newFixture(t, testDir(t))
	p := f.shelf["d1.0.0"]
	if err := os.Remove(p.Binary()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.Binary(), []byte("#!/bin/sh\nexec sleep 60\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []time.Duration{0, time.Millisecond, 200 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		began := time.Now()
		if _, err := f.Start(ctx, p); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second {
			t.Errorf("within %s: error %v after %s", limit, err, time.Since(began))
		}
	}
	if left, err := proc.Running(filepath.Join(f.dir, "store")); err != nil || len(left) > 0 {
		t.Errorf("left: %v (%v)", left, err)
	}
}

func TestAnswersAreTranslated(t *testing.T) {
	t.Setenv("THESEUS_TEST", "busy,sick,bad-row,cut")
	f := newFixture(t, testDir(t))
	in := f.serve("1.0.0")
	_, busy := in.Release(t.Context(), time.Second, false)
	_, row := in.Rehearse(t.Context(), nil, func(upgrades.Progress) {})
	for name, c := range map[string]struct {
		err  error
		is   error
		text string
	}{
		"busy":    {err: busy, is: upgrades.ErrBusy, text: "one request is in hand"},
		"sick":    {err: in.Health(t.Context()), text: "tired"},
		"bad row": {err: row, text: `row "ada" of table visits: count is negative`},
		"cut":     {err: in.Shadow(t.Context(), nil, true, nil), is: io.ErrUnexpectedEOF},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.text) || (c.is != nil && !errors.Is(c.err, c.is)) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
}

func TestLettingGoNeedsSomebodyWhoTakesTheConnections(t *testing.T) {
	t.Setenv("THESEUS_TEST", "alone")
	f := newFixture(t, testDir(t))
	in := f.serve("1.0.0")
	if _, err := in.Release(t.Context(), time.Second, false); !errors.Is(err, upgrades.ErrUnpaired) {
		t.Errorf("%v, want %v", err, upgrades.ErrUnpaired)
	}
	if _, err := in.Release(t.Context(), time.Second, true); err != nil {
		t.Error(err)
	}
}

func TestStreamsAreReadToTheirEnd(t *testing.T) {
	f := newFixture(t, testDir(t))
	in := f.serve("1.0.0")
	var seen []upgrades.Progress
	progress := func(p upgrades.Progress) { seen = append(seen, p) }
	if r, err := in.Rehearse(t.Context(), nil, progress); err != nil || r.Digest != "d" || r.Rows != 2 {
		t.Errorf("rehearsal %+v (%v)", r, err)
	}
	if err := in.Shadow(t.Context(), map[string]int32{"t": 1}, true, progress); err != nil {
		t.Error(err)
	}
	if want := []upgrades.Progress{{Done: 1, Total: 2}, {Done: 2, Total: 2}, {Done: 2, Total: 2}}; fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("progress %v", seen)
	}
}

func TestHangingProcess(t *testing.T) {
	f := newFixture(t, testDir(t))
	in := f.serve("1.0.0")
	f.Take("fake")
	f.signal(in, syscall.SIGSTOP)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := in.Status(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a stopped process answers %v", err)
	}
	if s := f.status(); s.PID != in.record.PID {
		t.Errorf("status %+v", s)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := in.Stop(ctx); err != nil {
		t.Errorf("stop by force: %v", err)
	}
	f.gone(in.record.ID)
}

// A version that stands still keeps nobody waiting for the half hour that its step may take, nor for four pings.
func TestAStoppedProcessIsGivenUp(t *testing.T) {
	f := newFixture(t, testDir(t))
	in, other := f.serve("1.0.0"), f.start("2.0.0")
	f.Take("fake")
	f.signal(in, syscall.SIGSTOP)
	if err := in.Pair(t.Context(), other); !errors.Is(err, errStopped) {
		t.Errorf("pair: %v, want %v", err, errStopped)
	}
	if err := in.Settle(t.Context()); !errors.Is(err, errStopped) {
		t.Errorf("settle: %v, want %v", err, errStopped)
	}
	if err := in.Stop(t.Context()); err != nil || in.exit() != "signal: killed" {
		t.Errorf("stop: %v, %s", err, in.exit())
	}
	if err := other.Settle(t.Context()); errors.Is(err, errSilent) {
		t.Errorf("the one that answers is given up: %v", err)
	}
}

// A process that is killed while it is being started leaves its socket, and no record tells where.
func TestSocketsOfStartsThatWereCutShortAreSwept(t *testing.T) {
	f := newFixture(t, testDir(t))
	path := func(name string) string { return filepath.Join(f.dir, "run", name) }
	began := time.Now()
	for _, name := range []string{"plugin1", "plugin2"} {
		ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path(name), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		ln.SetUnlinkOnClose(false)
		if name == "plugin1" {
			ln.Close()
		} else {
			defer ln.Close()
		}
	}
	f.sweepSockets(began)
	if _, err := os.Stat(path("plugin1")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket of a dead process is left: %v", err)
	}
	if _, err := os.Stat(path("plugin2")); err != nil {
		t.Errorf("the socket of a live process is gone: %v", err)
	}
}

func TestDeafProcessIsKilled(t *testing.T) {
	t.Setenv("THESEUS_TEST", "deaf")
	f := newFixture(t, testDir(t))
	in := f.serve("1.0.0")
	f.Take("fake")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := in.Stop(ctx); err != nil || in.exit() != "signal: killed" {
		t.Errorf("%v, %s", err, in.exit())
	}
}

// killedDaemon runs another daemon on the directory, which starts fake 1.0.0, and kills it.
func killedDaemon(t *testing.T, dir string) (id string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "daemon", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	id, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	if err != nil || rest != "<nil>" {
		t.Fatalf("daemon said %q (%v)", line, err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	return id
}

func (f *fixture) attached() []upgrades.Instance {
	f.Helper()
	if err := f.Attach(f.Context()); err != nil {
		f.Fatal(err)
	}
	return f.Instances("fake")
}

func TestProcessesOutliveTheDaemon(t *testing.T) {
	dir := testDir(t)
	id := killedDaemon(t, dir)
	f := newFixture(t, dir)
	list := f.attached()
	if len(list) != 1 || list[0].ID() != id {
		t.Fatalf("attached %v, want %s", list, id)
	}
	if got := f.Take("fake"); got == nil || got.ID() != id {
		t.Fatalf("%v serves", got)
	}
	st, err := list[0].Status(t.Context())
	if err != nil || st.Role != upgrades.Active {
		t.Errorf("%+v (%v)", st, err)
	}
	if got := f.answer(); got != fmt.Sprint(list[0].(*instance).record.PID) {
		t.Errorf("%q serves", got)
	}
	f.Give("fake", list[0])
	f.signal(list[0].(*instance), syscall.SIGKILL)
	f.until("restarted", func(s control.ServiceStatus) bool { return s.State == "running" && s.Restarts == 1 })
}

// A process that runs needs its file no more: damage in the store costs it nothing.
func TestDamagedPackageCostsNoProcessThatRuns(t *testing.T) {
	dir := testDir(t)
	id := killedDaemon(t, dir)
	f := newFixture(t, dir)
	delete(f.shelf, "d1.0.0")
	list := f.attached()
	if len(list) != 1 || list[0].ID() != id || list[0].Package().Version != "1.0.0" {
		t.Fatalf("attached %v, want %s", list, id)
	}
	if got := f.answer(); got != fmt.Sprint(list[0].(*instance).record.PID) {
		t.Errorf("%q serves", got)
	}
}

// A restart under way must not hold up the orderly stop.
func TestShutdownEndsARestartUnderWay(t *testing.T) {
	f := newFixture(t, testDir(t))
	in := f.serve("1.0.0")
	binary := f.shelf["d1.0.0"].Binary()
	if err := errors.Join(os.Remove(binary), os.WriteFile(binary, []byte("#!/bin/sh\nexec sleep 60\n"), 0o700)); err != nil {
		t.Fatal(err)
	}
	f.signal(in, syscall.SIGKILL)
	f.until("restarting", func(s control.ServiceStatus) bool { return s.State == "restarting" })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	began := time.Now()
	if err := f.Shutdown(ctx); err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("shutdown: %v after %s", err, time.Since(began))
	}
}
