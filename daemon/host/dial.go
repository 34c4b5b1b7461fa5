package host

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"

	"github.com/theseusd/theseus/sdk/wire"
)

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
		GRPCDialOptions:  []grpc.DialOption{grpc.WithChainUnaryInterceptor(faulty), grpc.WithChainStreamInterceptor(faultyStream)},
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
