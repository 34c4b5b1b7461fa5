package sdk

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/theseusd/theseus/sdk/wire"
)

// Local is a service that runs within this process, without a daemon: for its tests, and to try it.
type Local struct{ rt *process }

// LocalOptions are what the daemon would give.
type LocalOptions struct {
	StateDir  string                  // of the state log
	Listeners map[string]net.Listener // by the names that the service declares
	Config    []byte                  // JSON
	Log       *slog.Logger            // slog.Default if nil
}

// StartLocal starts s and makes it active. Its state stays in StateDir, where the next start finds it.
func StartLocal(ctx context.Context, s Service, o LocalOptions) (*Local, error) {
	if err := s.validate(); err != nil {
		return nil, fmt.Errorf("sdk: %w", err)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	rt := newProcess(s, o.Log)
	if _, err := rt.open(ctx, o.StateDir, o.Config, o.Listeners); err != nil {
		return nil, err
	}
	rt.opened = &wire.OpenReply{}
	rt.setRole(wire.StatusReply_ROLE_STANDBY)
	if _, err := rt.Activate(ctx, &wire.ActivateRequest{}); err != nil {
		rt.close()
		return nil, err
	}
	return &Local{rt: rt}, nil
}

// Verb calls a verb as the command line would.
func (l *Local) Verb(ctx context.Context, name string, args ...string) (string, error) {
	v, ok := l.rt.setup.verb(name)
	if !ok {
		return "", fmt.Errorf("sdk: %s has no verb %q", l.rt.service.Name, name)
	}
	return v.call(ctx, args)
}

// Health runs the service's checks.
func (l *Local) Health(ctx context.Context) error {
	r, err := l.rt.Health(ctx, nil)
	if err == nil && !r.Ok {
		err = fmt.Errorf("sdk: unhealthy: %s", r.Reason)
	}
	return err
}

// Close stops the service in order.
func (l *Local) Close() { l.rt.close() }
