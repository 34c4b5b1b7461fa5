package host

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"

	"github.com/theseusd/theseus/daemon/internal/proc"
	"github.com/theseusd/theseus/daemon/keel"
	"github.com/theseusd/theseus/sdk/wire"
)

// process is how go-plugin starts, watches and kills one of ours, or one that is attached.
type process struct {
	spec   spec
	env    []string                    // go-plugin's
	stdout *os.File                    // read end, for the handshake; nil if attached
	handle atomic.Pointer[proc.Handle] // nil until it is started
	doomed atomic.Bool                 // Kill was called, perhaps before the start
}

// spec is what a new process needs.
type spec struct {
	path, dir string
	run       string // where its socket is to be
	env       map[string]string
	listeners []passed
}

// passed is a listener on its way into a process.
type passed struct {
	bound
	*keel.Listener
	also bool // for a probation: another version's address under a name of this one
}

var (
	_ runner.Runner         = (*process)(nil)
	_ runner.AttachedRunner = (*process)(nil)
)

func (p *process) take(cmd *exec.Cmd) { p.env = cmd.Env }

// Start executes the binary. It has no pipe to us but the one for the handshake, no terminal, a process group of its
// own, and our log's descriptor: what it writes goes on arriving there when we are dead.
func (p *process) Start(context.Context) error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer write.Close()
	if err := p.exec(null, write); err != nil {
		read.Close()
		return err
	}
	p.stdout = read
	return nil
}

// exec uses bare descriptors: os/exec would switch the listeners, which other processes serve, to blocking.
func (p *process) exec(stdin, stdout *os.File) error {
	files := []uintptr{stdin.Fd(), stdout.Fd(), 2}
	for _, l := range p.spec.listeners {
		files = append(files, uintptr(l.FD))
	}
	pidfd := -1
	pid, _, err := syscall.StartProcess(p.spec.path, []string{p.spec.path}, &syscall.ProcAttr{
		Dir: p.spec.dir, Env: p.environ(), Files: files,
		Sys: &syscall.SysProcAttr{Setpgid: true, PidFD: &pidfd},
	})
	if err != nil {
		return fmt.Errorf("%s: %w", p.spec.path, err)
	}
	handle, err := proc.Adopt(pid, pidfd)
	if err != nil {
		return err
	}
	p.handle.Store(handle)
	if p.doomed.Load() {
		_ = handle.Signal(syscall.SIGKILL)
	}
	return nil
}

// environ joins go-plugin's variables with ours; ours win. The socket goes straight into the run directory: in
// go-plugin's own directory below it the path would soon be longer than a socket's may be.
func (p *process) environ() []string {
	env := map[string]string{}
	for _, v := range p.env {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	maps.Copy(env, p.spec.env)
	env[plugin.EnvUnixSocketDir] = p.spec.run
	env[wire.EnvListeners] = listenersEnv(p.spec.listeners, false)
	env[wire.EnvAlso] = listenersEnv(p.spec.listeners, true)
	list := make([]string, 0, len(env))
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list
}

// listenersEnv tells the names of the descriptors from 3 on, of one kind.
func listenersEnv(list []passed, also bool) string {
	var names []string
	for i, l := range list {
		if l.also == also {
			names = append(names, l.Name+"="+strconv.Itoa(3+i))
		}
	}
	return strings.Join(names, ",")
}

// hostEnv is what a service may know of our environment: our own variables and those in allowed. Nothing that changes what
// a program loads, trusts or does, as LD_PRELOAD, SSL_CERT_FILE and GODEBUG do, goes on by being in the daemon's.
func hostEnv() map[string]string {
	env := map[string]string{}
	for _, v := range os.Environ() {
		name, value, _ := strings.Cut(v, "=")
		if slices.Contains(allowed, name) || strings.HasPrefix(name, "THESEUS_") {
			env[name] = value
		}
	}
	return env
}

var allowed = []string{
	"PATH", "HOME", "TZ", "LANG", "GOMAXPROCS", "GOGC", "GOMEMLIMIT", "GORACE", "GOCOVERDIR",
}

// Wait returns when the process is gone; it is reaped by its handle.
func (p *process) Wait(ctx context.Context) error {
	if h := p.handle.Load(); h != nil {
		return h.Wait(ctx)
	}
	return nil
}

// Kill ends the process by force, also one that is being started at this moment.
func (p *process) Kill(ctx context.Context) error {
	p.doomed.Store(true)
	h := p.handle.Load()
	if h == nil {
		return nil
	}
	_ = h.Signal(syscall.SIGKILL) // to one that is gone it means nothing
	return h.Wait(ctx)
}

// Stdout is the pipe for the handshake.
func (p *process) Stdout() io.ReadCloser { return p.stdout }

// Stderr is empty: the log does not come by us.
func (p *process) Stderr() io.ReadCloser { return io.NopCloser(bytes.NewReader(nil)) }

// Name is the binary's path.
func (p *process) Name() string { return p.spec.path }

// ID is the pid.
func (p *process) ID() string {
	if h := p.handle.Load(); h != nil {
		return strconv.Itoa(h.ID().PID)
	}
	return ""
}

// Diagnose tells what is known of a process that gave no handshake.
func (p *process) Diagnose(context.Context) string {
	return "the process said nothing before it ended; its log may say why"
}

// PluginToHost changes nothing: both live in one file system.
func (p *process) PluginToHost(network, addr string) (string, string, error) {
	return network, addr, nil
}

// HostToPlugin changes nothing.
func (p *process) HostToPlugin(network, addr string) (string, string, error) {
	return network, addr, nil
}
