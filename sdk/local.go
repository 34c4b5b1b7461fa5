package sdk

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

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
	l, err := openLocal(ctx, s, o)
	if err != nil {
		return nil, err
	}
	if _, err := l.rt.Activate(ctx, &wire.ActivateRequest{}); err != nil {
		l.rt.close()
		return nil, err
	}
	return l, nil
}

// openLocal starts s as a standby.
func openLocal(ctx context.Context, s Service, o LocalOptions) (*Local, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	rt := newProcess(s, o.Log)
	if _, err := rt.open(ctx, o.StateDir, o.Config, o.Listeners); err != nil {
		return nil, err
	}
	rt.opened = &wire.OpenReply{}
	rt.setRole(wire.StatusReply_ROLE_STANDBY)
	return &Local{rt: rt}, nil
}

// Follow starts s beside l as its next version: it follows the log, on the same StateDir and on duplicates of the
// listeners, until l hands over. Both meet at the unix socket pair.
func (l *Local) Follow(ctx context.Context, s Service, pair string, o LocalOptions) (*Local, error) {
	if err := s.validate(); err != nil {
		return nil, fmt.Errorf("sdk: %w", err)
	}
	next, err := openLocal(ctx, s, o)
	if err != nil {
		return nil, err
	}
	if _, err = next.rt.Pair(ctx, &wire.PairRequest{Path: pair, Listen: true}); err == nil {
		_, err = l.rt.Pair(ctx, &wire.PairRequest{Path: pair})
	}
	if err != nil {
		next.rt.close()
		return nil, err
	}
	return next, nil
}

// localDrain is how long requests in hand may take at a handover.
const localDrain = 2 * time.Second

// HandOver makes next, which follows l or was followed by it, the version that serves, on the same connections; shadows
// are the older versions of schemas that it has to write besides, by table.
func (l *Local) HandOver(ctx context.Context, next *Local, shadows map[string]int32) error {
	if _, err := l.rt.Release(ctx, &wire.ReleaseRequest{DrainMicros: localDrain.Microseconds()}); err != nil {
		return err
	}
	_, err := next.rt.Activate(ctx, &wire.ActivateRequest{Paired: true, Shadows: shadows})
	return err
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
