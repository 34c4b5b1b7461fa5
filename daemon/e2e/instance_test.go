package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/sdk/fault"
	"github.com/theseusd/theseus/upgrades/drill/crowd"
	"github.com/theseusd/theseus/upgrades/trust"
)

// Deadlines and how often is asked.
const (
	patience  = 30 * time.Second
	askEvery  = 20 * time.Millisecond
	stopGrace = 30 * time.Second
)

type instanceKey struct{}

// instance is the theseusd of one script.
type instance struct {
	dir         string
	http, resp  string // addresses of visits and of the cache
	limits, rls string // of ratelimit, for Redis clients and for Envoy
	checks      string // likewise, for HTTP
	chat        string // of chat, for its clients
	crowd       *crowd.Crowd
	browsers    []browser
	cmd         *exec.Cmd
	ended       chan error
	load        *loader
	flooded     int // requests of flood that were taken
	pids        map[string]int
}

func instanceOf(ts *testscript.TestScript) *instance {
	i, ok := ts.Value(instanceKey{}).(*instance)
	if !ok {
		ts.Fatalf("this script has no instance")
	}
	return i
}

// configure writes theseus.toml, makes a key for what the script builds, and trusts the one that all packages have.
func (i *instance) configure() error {
	if err := os.MkdirAll(filepath.Join(i.dir, "releases"), 0o755); err != nil {
		return err
	}
	keys := trust.Of(i.dir)
	if _, err := keys.Generate(); err != nil {
		return err
	}
	if _, err := keys.Add(shared.key); err != nil {
		return err
	}
	text := fmt.Sprintf("service.cache.listen.resp = %q\nservice.visits.listen.http = %q\n", i.resp, i.http) +
		fmt.Sprintf("service.ratelimit.listen.resp = %q\nservice.ratelimit.listen.grpc = %q\n", i.limits, i.rls) +
		fmt.Sprintf("service.ratelimit.listen.http = %q\n", i.checks) +
		fmt.Sprintf("service.ratelimit.config.policies = %q\n", filepath.Join(i.dir, "policies.toml")) +
		fmt.Sprintf("service.breaker.listen.http = %q\nservice.breaker.listen.grpc = %q\n", freePort(), freePort()) +
		fmt.Sprintf("service.chat.listen.clients = %q\n", i.chat)
	return os.WriteFile(filepath.Join(i.dir, "theseus.toml"), []byte(text), 0o644)
}

// start runs theseusd and waits until it answers. Its log is part of the script's when the script ends.
func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: start")
	}
	i := instanceOf(ts)
	log, err := os.OpenFile(i.dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	ts.Check(err)
	i.cmd = exec.Command(filepath.Join(shared.bin, "theseusd"), "--dir", i.dir)
	i.cmd.Stdout, i.cmd.Stderr, i.cmd.Dir = log, log, i.dir
	i.cmd.Env = append(os.Environ(), fault.Env+"="+ts.Getenv(fault.Env))
	i.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	ts.Check(i.cmd.Start())
	i.ended = make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan<- error) {
		ended <- cmd.Wait()
		_ = log.Close()
	}(i.cmd, i.ended)
	ts.Defer(func() { i.end(ts) })
	keel := i.cmd.Process.Pid // an earlier one may still be answering
	i.until(ts, "the daemon to answer", func(s control.Status) bool { return s.Keel == keel })
}

// end stops what still runs, whatever became of the script, and shows the log.
func (i *instance) end(ts *testscript.TestScript) {
	if i.cmd != nil {
		_ = i.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-i.ended:
		case <-time.After(stopGrace):
			_ = syscall.Kill(-i.cmd.Process.Pid, syscall.SIGKILL)
		}
		i.cmd = nil
	}
	if text, err := os.ReadFile(i.dir + ".log"); err == nil {
		ts.Logf("[theseusd]\n%s", text)
	}
}

// stop ends the daemon in order.
func stop(ts *testscript.TestScript, neg bool, args []string) {
	i := instanceOf(ts)
	if neg || len(args) > 0 || i.cmd == nil {
		ts.Fatalf("usage: stop, after start")
	}
	ts.Check(i.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-i.ended:
		if err != nil {
			ts.Fatalf("theseusd did not stop in order: %v", err)
		}
	case <-time.After(stopGrace):
		ts.Fatalf("theseusd does not stop")
	}
	i.cmd = nil
}

// await waits for a service or for a file.
func await(ts *testscript.TestScript, neg bool, args []string) {
	i := instanceOf(ts)
	switch {
	case !neg && len(args) == 2 && args[0] == "file":
		awaitFile(ts, ts.MkAbs(args[1]))
	case !neg && len(args) == 2 && args[0] == "release":
		i.until(ts, fmt.Sprint(args), func(control.Status) bool { return i.has(args[1]) })
	case !neg && len(args) == 3 && args[0] == "text":
		awaitText(ts, ts.MkAbs(args[1]), args[2])
	case !neg && len(args) == 3 && args[0] == "said":
		awaitSaid(ts, strings.Fields(args[1]), args[2])
	case !neg && len(args) == 3:
		i.until(ts, fmt.Sprint(args), func(s control.Status) bool { return stands(s, args[0], args[1], args[2]) })
	default:
		ts.Fatalf("usage: await SERVICE VERSION running|current|permanent, or await file PATH, or await release NAME, or await text FILE REGEXP, or await said COMMAND TEXT")
	}
}

// has is true if there is a release of that name.
func (i *instance) has(release string) bool {
	c, err := control.Dial(i.dir)
	if err != nil {
		return false
	}
	defer c.Close()
	list, err := c.Releases(context.Background())
	return err == nil && slices.ContainsFunc(list, func(r control.Release) bool { return r.Name == release })
}

// stands is true if the service runs in this version and, if asked for, its release has this status.
func stands(s control.Status, service, version, status string) bool {
	for _, one := range s.Services {
		if one.Name != service || one.Version != version || one.State != "running" {
			continue
		}
		switch status {
		case "running":
			return true
		case "permanent":
			return s.State == "permanent" && s.Upgrade == nil
		case "current": // and its probation has begun
			return s.State == status && s.Upgrade != nil && s.Upgrade.Step == "probation"
		}
	}
	return false
}

// until asks for the status until it is good.
func (i *instance) until(ts *testscript.TestScript, what string, good func(control.Status) bool) {
	c, err := control.Dial(i.dir)
	ts.Check(err)
	defer c.Close()
	var last control.Status
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(askEvery) {
		s, lerr := ask(c)
		if err = lerr; err == nil && good(s) {
			return
		}
		if err == nil {
			last = s
		}
		if i.gone() {
			ts.Fatalf("theseusd has ended while this was awaited: %s", what)
		}
	}
	text, _ := json.MarshalIndent(last, "", "  ")
	ts.Fatalf("waited %s for %s: %v\n%s", patience, what, err, text)
}

func ask(c *control.Client) (control.Status, error) {
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
	defer stop()
	return c.Status(ctx)
}

func (i *instance) gone() bool {
	select {
	case err := <-i.ended:
		i.ended <- err
		return true
	default:
		return false
	}
}

func awaitFile(ts *testscript.TestScript, path string) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(askEvery) {
		if _, err := os.Stat(path); err == nil {
			return
		}
	}
	ts.Fatalf("waited %s for %s", patience, path)
}

// buildPatience is for what is written once something has been compiled.
const buildPatience = 90 * time.Second

func awaitText(ts *testscript.TestScript, path, pattern string) {
	want, err := regexp.Compile(pattern)
	ts.Check(err)
	var text []byte
	for deadline := time.Now().Add(buildPatience); time.Now().Before(deadline); time.Sleep(askEvery) {
		if text, _ = os.ReadFile(path); want.Match(text) {
			return
		}
	}
	ts.Fatalf("waited %s for %s in\n%s", buildPatience, pattern, text)
}

// awaitSaid waits until a command prints a text.
func awaitSaid(ts *testscript.TestScript, argv []string, text string) {
	var out []byte
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(askEvery) {
		cmd := exec.Command(filepath.Join(shared.bin, argv[0]), argv[1:]...)
		cmd.Env = append(os.Environ(), "THESEUS_DIR="+ts.Getenv("THESEUS_DIR"))
		if out, _ = cmd.CombinedOutput(); strings.Contains(string(out), text) {
			return
		}
	}
	ts.Fatalf("waited %s for %s to say %s in\n%s", patience, argv, text, out)
}

// kill9 kills a process that the status names, and returns when it is gone.
func kill9(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: kill9 daemon|keel|SERVICE")
	}
	pid := signal(ts, args[0], syscall.SIGKILL)
	for deadline := time.Now().Add(patience); running(pid); time.Sleep(askEvery) {
		if time.Now().After(deadline) {
			ts.Fatalf("%s (%d) lives on", args[0], pid)
		}
	}
}

// stand stops a process that the status names: it does nothing any more, and lives.
func stand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: stand daemon|keel|SERVICE|SERVICE/standby")
	}
	signal(ts, args[0], syscall.SIGSTOP)
}

// signal sends a signal to a process that the status names.
func signal(ts *testscript.TestScript, who string, sig syscall.Signal) (pid int) {
	if who == "keel" { // its daemon may stand still
		pid = instanceOf(ts).cmd.Process.Pid
		ts.Check(syscall.Kill(pid, sig))
		return pid
	}
	c, err := control.Dial(instanceOf(ts).dir)
	ts.Check(err)
	defer c.Close()
	s, err := ask(c)
	ts.Check(err)
	if pid = pidOf(s, who); pid <= 1 {
		ts.Fatalf("there is no pid of %s", who)
	}
	ts.Check(syscall.Kill(pid, sig))
	return pid
}

// pids notes the processes of the services, or fails unless they are the same.
func pids(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || (args[0] != "note" && args[0] != "same") {
		ts.Fatalf("usage: pids note|same")
	}
	i := instanceOf(ts)
	i.until(ts, "the same processes", func(s control.Status) bool {
		now := map[string]int{}
		for _, one := range s.Services {
			if one.State != "running" {
				return false
			}
			now[one.Name] = one.PID
		}
		if args[0] == "note" {
			i.pids = now
		}
		return maps.Equal(i.pids, now)
	})
}

func pidOf(s control.Status, who string) int {
	switch who {
	case "daemon":
		return s.PID
	case "keel":
		return s.Keel
	}
	for _, one := range s.Services {
		if one.Name == who {
			return one.PID
		}
		if one.Name+"/standby" == who && len(one.Standbys) == 1 {
			return one.Standbys[0].PID
		}
	}
	return 0
}

// running is false for a process that is gone or a zombie.
func running(pid int) bool {
	f, err := os.Open(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(f)
	if err != nil {
		return false
	}
	var state byte
	for n := len(text) - 1; n > 0; n-- { // the name in brackets may hold anything
		if text[n] == ')' && n+2 < len(text) {
			state = text[n+2]
			break
		}
	}
	return state != 'Z' && state != 'X'
}
