package sdk

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/theseusd/theseus/sdk/fault"
	"github.com/theseusd/theseus/sdk/logs"
	"github.com/theseusd/theseus/sdk/wire"
)

func startedByDaemon() bool {
	return os.Getenv(wire.Handshake.MagicCookieKey) == wire.Handshake.MagicCookieValue
}

// servePlugin speaks go-plugin's protocol with the daemon until the process is stopped. It outlives the daemon: a
// broken log pipe must not kill it, and go-plugin's broker, which works for one daemon only, is never used.
func servePlugin(s Service) {
	signal.Ignore(syscall.SIGPIPE)
	lines := newLineWriter(os.Stderr)
	log := logs.New(s.Name, os.Getenv(wire.EnvLogFormat), os.Getenv(wire.EnvLogLevel), lines)
	if err := fault.Enable(s.Name + "-" + s.Version); err != nil {
		log.Error("no fault is enabled", "error", err)
	}
	rt := newProcess(s, logs.Slog(log))
	go rt.stopOnSignal()
	go rt.lease.watch(context.Background(), rt.leaveAlone)
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  wire.Handshake,
		VersionedPlugins: map[int]plugin.PluginSet{wire.Protocol: {wire.PluginName: &controlPlugin{rt: rt}}},
		Logger:           log.Named("plugin"),
		GRPCServer: func(o []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(o, grpc.UnaryInterceptor(rt.heard), grpc.StreamInterceptor(rt.heardStream))...)
		},
	})
}

// controlPlugin puts the runtime on go-plugin's gRPC server. The client's half is the daemon's.
type controlPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	rt *process
}

var _ plugin.GRPCPlugin = (*controlPlugin)(nil)

func (p *controlPlugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	p.rt.grpc = s
	wire.RegisterServiceServer(s, p.rt)
	return nil
}

func (p *controlPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return wire.NewServiceClient(c), nil
}
