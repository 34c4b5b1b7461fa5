// Package control is the server side of the control socket: HTTP and JSON, so that reltool, a script and
// `curl --unix-socket DIR/.theseus/run/control.sock http://theseus/` see the same.
//
//	reltool, curl ──▶ control.sock ──▶ Server ──▶ Engine     releases, plan, upgrade, commit, rollback
//	                                     ├──────▶ Past       history
//	                                     ├──────▶ Store      packages of a new release
//	                                     └──────▶ Services   what runs
//
// Only the account of the daemon and root are answered; everybody else gets 403. An upgrade belongs to the engine:
// a client that goes away, or reads too slowly, neither stops nor slows it. Every refusal is an api.Error with a
// stable code. The listener is borrowed: Serve closes its own descriptor and leaves the socket file.
package control

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/theseusd/theseus/daemon/audit"
	api "github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/release"
)

// Limits of one request.
const (
	maxBody       = 1 << 20
	headerTimeout = 5 * time.Second
	bodyTimeout   = 10 * time.Second
	writeTimeout  = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	closeTimeout  = time.Second
)

// Engine is what the server asks of upgrades. A rehearsal ends with ctx; Upgrade, Commit and Rollback go on when ctx ends, and never wait for emit.
type Engine interface {
	Build(ctx context.Context, pkgs []release.Package, by string, remove ...string) (api.Built, error)
	Discard(pkgs []release.Package)
	Plan(ctx context.Context, r api.PlanRequest) (api.Plan, error)
	Rehearse(ctx context.Context, r api.UpgradeRequest, emit func(api.Event)) error
	Upgrade(ctx context.Context, r api.UpgradeRequest, emit func(api.Event)) error
	Commit(ctx context.Context, r api.UpgradeRequest, emit func(api.Event)) error
	Rollback(ctx context.Context, r api.UpgradeRequest, emit func(api.Event)) error
	Remove(ctx context.Context, r api.RemoveRequest) (api.Removed, error)
	Releases() []api.Release
	Current() (name, status string)
	InProgress() *api.Upgrade
}

// Past tells what has happened; *audit.Log does.
type Past interface {
	Events(after audit.Mark) (list []api.Event, next audit.Mark, changed <-chan struct{})
}

// Services tells what runs.
type Services interface {
	Services() []api.ServiceStatus
	Tree() api.Node
}

// Store takes package files in.
type Store interface {
	Add(ctx context.Context, path string) (release.Package, error)
}

// Replacer replaces the daemon. After Replace and Back have returned nil, the answer is sent and letGo is called: the
// daemon ends.
type Replacer interface {
	Daemon(ctx context.Context) (api.Daemon, error)
	Replace(ctx context.Context, r api.ReplaceRequest) (p api.Replacement, letGo func(), err error)
	Back(ctx context.Context, r api.ReplaceRequest) (p api.Replacement, letGo func(), err error)
}

// Options of a Server. Engine, Past, Services and Store are required.
type Options struct {
	Engine   Engine
	Past     Past
	Services Services
	Store    Store
	Replacer Replacer        // the daemon cannot be replaced if nil
	Daemon   api.Status      // the part that never changes: Dir, Version, PID, Keel, Started
	Notes    func() []string // for whoever asks for the status; none if nil
	Safe     func() error    // why nothing is built, as an *api.Error; always safe if nil
	Logger   *slog.Logger    // nothing is logged if nil
}

// Server answers on the control socket.
type Server struct {
	o   Options
	log *slog.Logger
	may func(peer) bool
}

// New returns a server that does nothing yet.
func New(o Options) *Server {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Server{o: o, log: log, may: trusted}
}

// Serve answers on ln until ctx ends; then it waits a second for the answers under way and returns the cause.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	h := &http.Server{
		Handler:           s.handler(),
		ConnContext:       withPeer,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(ln) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return errors.Join(shut(h), context.Cause(ctx))
	}
}

// shut gives answers under way a moment, then cuts them.
func shut(h *http.Server) error {
	ctx, stop := context.WithTimeout(context.Background(), closeTimeout)
	defer stop()
	if err := h.Shutdown(ctx); err != nil {
		return h.Close()
	}
	return nil
}
