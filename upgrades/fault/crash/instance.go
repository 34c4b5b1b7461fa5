package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/sdk/fault"
	"github.com/theseusd/theseus/upgrades/trust"
)

const (
	bootTime = 90 * time.Second
	stopTime = 40 * time.Second
)

// instance is a theseusd with the test service, and its clients.
type instance struct {
	*control.Client
	yard     *yard
	dir      string
	cmd      *exec.Cmd
	ended    chan struct{}
	client   *client
	silence  func() // ends the client
	bell     *bell
	releases map[string]string
	digests  map[string]string // of the store: versions
	tags     int
	known    []entry // of the journal
	read     int64   // bytes of it
	base     usage   // descriptors when all was new
}

// start brings up an instance that serves version one and has a release for each version.
func (y *yard) start(ctx context.Context, dir string) (*instance, error) {
	if err := y.template(ctx, dir+"-template"); err != nil {
		return nil, err
	}
	if text, err := exec.CommandContext(ctx, "cp", "-a", y.first, dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cp: %w: %s", err, text)
	}
	in, err := y.launch(dir)
	if err != nil {
		return nil, err
	}
	in.releases = y.releases
	if err := in.serve(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), in.end())
	}
	return in, nil
}

// template makes the directory that all others are copies of, once: taking packages in is dear.
func (y *yard) template(ctx context.Context, dir string) (err error) {
	y.once.Lock()
	defer y.once.Unlock()
	if y.first != "" {
		return nil
	}
	for _, sub := range []string{"releases", "fault"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	if _, err := trust.Of(dir).Add(y.key); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "theseus.toml"), []byte(shortHistory), 0o600); err != nil {
		return err
	}
	dropped := filepath.Join(dir, "releases", filepath.Base(y.packages[one]))
	if err := copyFile(y.packages[one], dropped); err != nil {
		return err
	}
	in, err := y.launch(dir)
	if err != nil {
		return err
	}
	err = errors.Join(in.furnish(ctx), in.end(), os.Remove(dropped))
	if err == nil {
		y.first, y.releases = dir, in.releases
	}
	return err
}

// shortHistory has the journal drop its oldest records every few upgrades.
const shortHistory = "[history]\nkeep = 3\n"

// launch runs theseusd.
func (y *yard) launch(dir string) (in *instance, err error) {
	in = &instance{yard: y, dir: dir, ended: make(chan struct{}), releases: map[string]string{}, digests: map[string]string{}}
	if err := os.MkdirAll(in.path("run"), 0o700); err != nil {
		return nil, err
	}
	if in.bell, err = newBell(in.path(""), in.path("run"), in.faults("")); err != nil {
		return nil, err
	}
	if err := in.plan(""); err != nil {
		return nil, err
	}
	if in.Client, err = control.Dial(dir); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has it
	in.cmd = exec.Command(y.theseusd, "--dir", dir, "--max-backoff", "200ms", "--silence", silence.String())
	in.cmd.Stdout, in.cmd.Stderr, in.cmd.Dir = log, log, dir
	in.cmd.Env = append(os.Environ(), fault.Env+"="+in.faults(""))
	if y.launched.Add(1)%parallel != 0 {
		in.cmd.Env = append(in.cmd.Env, "GOMAXPROCS=1")
	}
	in.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := in.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = in.cmd.Wait(); close(in.ended) }()
	return in, nil
}

// parallel is which one of so many instances uses several processors at once. There are more instances than processors,
// and one that uses a single one costs a fifth less.
const parallel = 4

// silence of a daemon until its keel replaces it.
const silence = 3 * time.Second

// furnish makes the releases.
func (in *instance) furnish(ctx context.Context) error {
	s, err := in.booted(ctx)
	if err != nil {
		return err
	}
	in.releases[one] = s.Release
	for _, v := range versions[1:] {
		built, err := in.Build(ctx, control.BuildRequest{Packages: []string{in.yard.packages[v]}, By: "crash"})
		if err != nil {
			return err
		}
		in.releases[v] = built.To
	}
	return nil
}

// booted waits until the service runs.
func (in *instance) booted(ctx context.Context) (control.Status, error) {
	ctx, stop := context.WithTimeout(ctx, bootTime)
	defer stop()
	if err := in.until(ctx, rests); err != nil {
		return control.Status{}, err
	}
	return in.Status(ctx)
}

// serve starts the clients.
func (in *instance) serve(ctx context.Context) error {
	s, err := in.booted(ctx)
	if err != nil {
		return err
	}
	in.client = newClient(s.Services[0].Listeners["http"])
	life, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); in.client.run(life) }()
	in.silence = func() { end(); <-done }
	return nil
}

// rests is true if nothing is under way and the service runs.
func rests(s control.Status) bool {
	return s.Upgrade == nil && s.State == "permanent" && len(s.Services) == 1 && s.Services[0].State == "running" &&
		len(s.Services[0].Standbys) == 0 && s.Services[0].Reason == ""
}

// until asks for the status until it is as wanted.
func (in *instance) until(ctx context.Context, wanted func(control.Status) bool) error {
	for {
		changed := in.bell.next()
		once, cancel := context.WithTimeout(ctx, time.Second)
		s, err := in.Status(once)
		cancel()
		if err == nil && wanted(s) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; the last status was %+v (%w)", context.Cause(ctx), s, err)
		case <-in.ended:
			return errors.New("theseusd has ended")
		default:
			lull(ctx, changed, moment)
		}
	}
}

func (in *instance) keel() int { return in.cmd.Process.Pid }

func (in *instance) path(more ...string) string {
	return filepath.Join(append([]string{in.dir, ".theseus"}, more...)...)
}

func (in *instance) faults(name string) string { return filepath.Join(in.dir, "fault", name) }

// plan tells every process of the instance what is to happen where; it takes effect at once.
func (in *instance) plan(text string) error {
	tmp := in.faults("plan.tmp")
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, in.faults("plan"))
}

// fired tells which process a plan of that name has stopped.
func (in *instance) fired(name string) (pid int, ok bool) {
	text, err := os.ReadFile(in.faults("fired-" + name))
	if err != nil || !strings.HasSuffix(string(text), "\n") {
		return 0, false
	}
	var process, point string
	n, err := fmt.Sscan(string(text), &process, &pid, &point)
	return pid, err == nil && n == 3
}

// end stops the instance, by force if it must be.
func (in *instance) end() error {
	if in.silence != nil {
		in.silence()
	}
	_ = in.bell.close() // nobody listens any more
	in.Close()
	_ = in.plan("")
	_ = in.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-in.ended:
		return nil
	case <-time.After(stopTime):
	}
	in.destroy()
	return fmt.Errorf("theseusd did not end in %s", stopTime)
}

// destroy kills every process of it.
func (in *instance) destroy() {
	c := in.crowd()
	_ = in.cmd.Process.Kill()
	for _, pid := range c.daemons {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	for _, list := range c.services {
		for _, pid := range list {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	<-in.ended
}
