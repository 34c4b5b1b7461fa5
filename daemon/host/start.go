package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"

	"github.com/theseusd/theseus/daemon/keel"
	"github.com/theseusd/theseus/sdk/wire"
	"github.com/theseusd/theseus/upgrades"
	"github.com/theseusd/theseus/upgrades/release"
)

// controlListener is the name of a service's own unix socket.
const controlListener = "control"

// Start runs the package as a standby of its service.
func (h *Host) Start(ctx context.Context, p release.Package) (upgrades.Instance, error) {
	s := h.service(p.Name)
	s.note(stateStarting, nil)
	in, err := h.start(ctx, p)
	if err != nil {
		s.note(stateFailed, err)
		return nil, err
	}
	return in, nil
}

func (h *Host) start(ctx context.Context, p release.Package) (*instance, error) {
	began := time.Now()
	p, err := h.o.Packages.Get(p.Digest) // reads the binary again: what runs is what was verified
	if err != nil {
		return nil, err
	}
	in, err := h.launch(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("start %s %s: %w", p.Name, p.Version, err)
	}
	if err := in.open(ctx); err != nil {
		in.kill()
		return nil, fmt.Errorf("start %s %s: %w", p.Name, p.Version, err)
	}
	h.log.Debug("process is up", "service", p.Name, "version", p.Version, "pid", in.record.PID, "took", time.Since(began))
	return in, nil
}

// launch executes the binary and shakes hands.
func (h *Host) launch(ctx context.Context, p release.Package) (*instance, error) {
	listeners, err := h.listen(ctx, p)
	defer closeAll(listeners)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(h.o.State, p.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := h.link(p); err != nil {
		return nil, err
	}
	pr := &process{spec: spec{path: p.Binary(), dir: dir, run: h.o.Run, env: h.env(), listeners: listeners}}
	client, svc, err := h.dial(ctx, pr, nil)
	if err != nil {
		return nil, err
	}
	in := h.instance(p, pr.handle.Load(), client, svc, h.recordOf(p, pr, client))
	if err := in.record.write(h.o.Run); err != nil {
		in.kill()
		return nil, err
	}
	return in, nil
}

func (h *Host) recordOf(p release.Package, pr *process, client *plugin.Client) record {
	r := record{
		ID: pr.handle.Load().ID(), Service: p.Name, Version: p.Version, Digest: p.Digest,
		Addr: client.ReattachConfig().Addr.String(), Protocol: client.NegotiatedVersion(), Started: time.Now().UTC(),
	}
	for _, l := range pr.spec.listeners {
		r.Listeners = append(r.Listeners, l.bound)
	}
	return r
}

func (h *Host) env() map[string]string {
	env := hostEnv()
	maps.Copy(env, map[string]string{wire.EnvLogFormat: h.o.LogFormat, wire.EnvLogLevel: h.o.LogLevel})
	return env
}

// addresses of the listeners of a version: the manifest's, unless theseus.toml says otherwise, and its own socket.
func (h *Host) addresses(p release.Package) []keel.Address {
	list := []keel.Address{{
		Owner: p.Name, Name: controlListener, Network: "unix", Address: filepath.Join(h.o.Run, p.Name+".sock"),
	}}
	if p.Manifest == nil {
		return list
	}
	other := h.o.Settings(p.Name).Listen
	for _, l := range p.Manifest.Listen {
		a := keel.Address{Owner: p.Name, Name: l.Name, Network: l.Network, Address: l.Address}
		if o, ok := other[l.Name]; ok {
			a.Address = o
		}
		if a.Network == "" {
			a.Network = "tcp"
		}
		list = append(list, a)
	}
	return list
}

// listen gets duplicates of the listeners; the caller closes them in any case.
func (h *Host) listen(ctx context.Context, p release.Package) (list []passed, err error) {
	if p.Name+".sock" == "control.sock" {
		return nil, errors.New("no service can be called control: that is the daemon's socket")
	}
	for _, a := range h.addresses(p) {
		l, err := h.o.Listeners.Listen(ctx, a)
		if err != nil {
			return list, fmt.Errorf("listener %q at %s: %w", a.Name, a.Address, err)
		}
		list = append(list, passed{bound{a, l.Addr}, l})
	}
	return list, nil
}

func closeAll(list []passed) {
	for _, l := range list {
		l.Close()
	}
}

// retain has the listeners closed that nobody needs any more.
func (h *Host) retain(s *service) {
	var named []keel.Address
	for _, in := range s.alive() {
		for _, b := range in.record.Listeners {
			named = append(named, b.Address)
		}
	}
	s.mu.Lock()
	if s.serving != nil {
		named = append(named, h.addresses(s.serving.Package())...)
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(h.life, statusTimeout)
	defer cancel()
	if err := h.o.Listeners.Retain(ctx, s.name, named); err != nil {
		h.log.Warn("listeners that nobody needs stay open", "service", s.name, "error", err)
	}
}

// link gives the service's socket its command's name.
func (h *Host) link(p release.Package) error {
	word := command(p)
	if word == p.Name {
		return nil
	}
	link, target := filepath.Join(h.o.Run, word+".sock"), p.Name+".sock"
	if to, err := os.Readlink(link); err == nil && to == target {
		return nil
	}
	if info, err := os.Lstat(link); err == nil && info.Mode()&os.ModeSymlink == 0 {
		return fmt.Errorf("the command %q has the name of another socket", word)
	}
	tmp := link + ".tmp"
	_ = os.Remove(tmp)
	if err := os.Symlink(target, tmp); err != nil {
		return err
	}
	return os.Rename(tmp, link)
}

func command(p release.Package) string {
	if p.Manifest == nil || p.Manifest.Command == "" {
		return p.Name
	}
	return p.Manifest.Command
}

// handshakeBudget is for a process to say where it listens; it does that before it reads its log.
const handshakeBudget = 30 * time.Second

// dial starts or re-attaches a process, as go-plugin does it, and returns its control service. A process that was
// started and does not shake hands is killed.
func (h *Host) dial(ctx context.Context, pr *process, re *plugin.ReattachConfig) (*plugin.Client, wire.ServiceClient, error) {
	client := plugin.NewClient(h.clientConfig(pr, re))
	stop := context.AfterFunc(ctx, func() { _ = pr.Kill(context.Background()) })
	svc, err := dispense(client)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		return client, svc, nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	_ = pr.Kill(context.Background())
	client.Kill() // it is dead: this frees what go-plugin holds
	return nil, nil, fmt.Errorf("%s (%w)", how(pr), brief(err))
}

func how(pr *process) string {
	if h := pr.handle.Load(); h != nil && h.Exit() != "" {
		return "no handshake, " + h.Exit()
	}
	return "no handshake"
}

// brief keeps the first line of go-plugin's long advice.
func brief(err error) error {
	first, _, more := strings.Cut(err.Error(), "\n")
	if !more {
		return err
	}
	return errors.New(strings.TrimSuffix(first, ":"))
}

func dispense(client *plugin.Client) (wire.ServiceClient, error) {
	protocol, err := client.Client()
	if err != nil {
		return nil, err
	}
	raw, err := protocol.Dispense(wire.PluginName)
	if err != nil {
		return nil, err
	}
	svc, ok := raw.(wire.ServiceClient)
	if !ok {
		return nil, fmt.Errorf("%T is no control service", raw)
	}
	return svc, nil
}

func (h *Host) clientConfig(pr *process, re *plugin.ReattachConfig) *plugin.ClientConfig {
	versions := map[int]plugin.PluginSet{wire.Protocol: {wire.PluginName: controlPlugin{}}}
	c := &plugin.ClientConfig{
		HandshakeConfig:  wire.Handshake,
		VersionedPlugins: versions,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Logger:           hclog.NewNullLogger(), // what matters of it we log ourselves
		StartTimeout:     handshakeBudget,
		SkipHostEnv:      true,
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: h.o.Run},
	}
	if h.log.IsTrace() {
		c.Logger = h.log.Named("go-plugin")
	}
	if re != nil {
		c.Reattach, c.Plugins = re, versions[re.ProtocolVersion]
		return c
	}
	c.RunnerFunc = func(_ hclog.Logger, cmd *exec.Cmd, _ string) (runner.Runner, error) {
		pr.take(cmd)
		return pr, nil
	}
	return c
}

// controlPlugin is the client's half of the control service.
type controlPlugin struct{ plugin.NetRPCUnsupportedPlugin }

var _ plugin.GRPCPlugin = controlPlugin{}

// GRPCServer is the service's half.
func (controlPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("the daemon serves no plugin")
}

// GRPCClient makes the client of an open connection.
func (controlPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return wire.NewServiceClient(c), nil
}

// open has the process read its state log to the end, and learns what it is.
func (in *instance) open(ctx context.Context) error {
	reply, err := in.svc.Open(ctx, &wire.OpenRequest{
		StateDir: filepath.Join(in.host.o.State, in.pkg.Name),
		Config:   in.host.o.Settings(in.pkg.Name).Config,
	})
	if err != nil {
		return in.fail("open", err)
	}
	if len(reply.Description) == 0 {
		return nil
	}
	if err := json.Unmarshal(reply.Description, &in.desc); err != nil {
		return fmt.Errorf("open: description: %w", err)
	}
	return nil
}
