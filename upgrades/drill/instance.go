package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/trust"
)

// instance is a running theseusd with its services, in a folder of its own.
type instance struct {
	*control.Client
	dir              string
	http, resp, chat string // where visits, the cache and the chat serve
	cmd              *exec.Cmd
	log              *tail
	gone             chan struct{}
	stop             func() error // ends theseusd and its services; once
}

const (
	bootTime = time.Minute
	stopTime = 20 * time.Second
)

// startInstance starts theseusd on dir with the packages that the key has signed in its drop folder, and returns when all
// of them serve.
func startInstance(ctx context.Context, theseusd, dir string, key trust.Key, packages ...string) (*instance, error) {
	if err := os.MkdirAll(filepath.Join(dir, "releases"), 0o700); err != nil {
		return nil, err
	}
	if _, err := trust.Of(dir).Add(key); err != nil {
		return nil, err
	}
	for _, file := range packages {
		if err := copyFile(file, filepath.Join(dir, "releases", filepath.Base(file))); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "theseus.toml"), []byte(anyPort), 0o600); err != nil {
		return nil, err
	}
	client, err := control.Dial(dir)
	if err != nil {
		return nil, err
	}
	in := &instance{Client: client, dir: dir, log: new(tail), gone: make(chan struct{})}
	in.stop = sync.OnceValue(in.end)
	in.cmd = exec.Command(theseusd, "--dir", dir)
	in.cmd.Stdout, in.cmd.Stderr = in.log, in.log
	in.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := in.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = in.cmd.Wait(); close(in.gone) }()
	if err := in.booted(ctx, len(packages)); err != nil {
		return nil, errors.Join(fmt.Errorf("%w\n%s", err, in.log), in.stop())
	}
	return in, nil
}

// anyPort lets the services listen where they disturb nobody.
const anyPort = `
[service.visits]
listen.http = "127.0.0.1:0"

[service.cache]
listen.resp = "127.0.0.1:0"

[service.chat]
listen.clients = "127.0.0.1:0"
`

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}

// booted waits until n services run, and learns their addresses.
func (in *instance) booted(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, bootTime)
	defer cancel()
	s, err := in.until(ctx, func(s control.Status) bool {
		return len(s.Services) == n && allRun(s)
	})
	if err != nil {
		return fmt.Errorf("theseusd did not start: %w", err)
	}
	for _, service := range s.Services {
		switch service.Name {
		case "visits":
			in.http = service.Listeners["http"]
		case "cache":
			in.resp = service.Listeners["resp"]
		case "chat":
			in.chat = service.Listeners["clients"]
		}
	}
	if in.http == "" || in.resp == "" {
		return errors.New("theseusd does not tell the addresses of its services")
	}
	return nil
}

// until asks for the status until it is as wanted.
func (in *instance) until(ctx context.Context, wanted func(control.Status) bool) (control.Status, error) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := in.Status(ctx)
		if err == nil && wanted(s) {
			return s, nil
		}
		select {
		case <-ctx.Done():
			return s, errors.Join(context.Cause(ctx), err)
		case <-in.gone:
			return s, errors.New("theseusd has ended")
		case <-tick.C:
		}
	}
}

// service is the status of one service.
func (in *instance) service(ctx context.Context, name string) (control.ServiceStatus, error) {
	s, err := in.Status(ctx)
	if err != nil {
		return control.ServiceStatus{}, err
	}
	for _, service := range s.Services {
		if service.Name == name {
			return service, nil
		}
	}
	return control.ServiceStatus{}, fmt.Errorf("there is no service %s", name)
}

// serves fails unless the version of the service does.
func (in *instance) serves(ctx context.Context, name, version string) error {
	s, err := in.service(ctx, name)
	if err == nil && (s.Version != version || s.State != "running") {
		err = fmt.Errorf("%s %s is %s, want %s running", name, s.Version, s.State, version)
	}
	return err
}

// release makes a release with the package and returns its name.
func (in *instance) release(ctx context.Context, file string) (string, error) {
	built, err := in.Build(ctx, control.BuildRequest{Packages: []string{file}, By: "drill"})
	return built.To, err
}

func (in *instance) end() error {
	in.Close()
	_ = in.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-in.gone:
		return nil
	case <-time.After(stopTime):
		_ = syscall.Kill(-in.cmd.Process.Pid, syscall.SIGKILL)
		return fmt.Errorf("theseusd did not end in %s:\n%s", stopTime, in.log)
	}
}
