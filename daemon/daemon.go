package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"github.com/theseusd/theseus/daemon/audit"
	"github.com/theseusd/theseus/daemon/control"
	"github.com/theseusd/theseus/daemon/host"
	"github.com/theseusd/theseus/daemon/internal/proc"
	"github.com/theseusd/theseus/daemon/keel"
	"github.com/theseusd/theseus/daemon/watch"
	api "github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/sdk/fault"
	"github.com/theseusd/theseus/sdk/logs"
	"github.com/theseusd/theseus/upgrades"
	"github.com/theseusd/theseus/upgrades/journal"
	"github.com/theseusd/theseus/upgrades/release"
)

// Version of the daemon.
var Version = api.Version

// shutdownBudget is for the services' orderly stop; it ends before the keel's patience does.
const shutdownBudget = 25 * time.Second

// Config of a daemon. Dir is required.
type Config struct {
	Dir       string
	KeelFD    int       // the socket to the keel; keel.FD if 0
	LogFormat string    // text or json; text if empty
	LogLevel  string    // trace, debug, info, warn, error; info if empty
	Log       io.Writer // stderr if nil
	Banner    io.Writer // stdout if nil
	Beside    bool      // another daemon is in charge: look, tell the keel, and wait for it to end
	Stop      bool      // attach, stop what runs in order, and end
}

// Daemon is an assembled daemon that has touched nothing yet but its own files.
type Daemon struct {
	cfg     Config
	paths   Paths
	file    *operator
	log     hclog.Logger
	started time.Time

	keel    *keel.Client
	journal *journal.Journal
	store   *release.Store
	host    *host.Host
	engine  *upgrades.Engine
	audit   *audit.Log
	worries worries
	copies  binaries
	letGo   context.CancelCauseFunc // of Run
}

// New reads what is on disk and assembles a daemon. A mistake in theseus.toml is an *appup.ParseError for a daemon that is
// to take over from another one, and so is what others could write to an error; else both are logged, since services must not go without a daemon: they run as their
// releases say, and builds are refused until it is corrected.
func New(cfg Config) (d *Daemon, err error) {
	cfg.defaults()
	if cfg.Beside {
		defer func() { refuseEarly(cfg, d, err) }()
	}
	d = &Daemon{cfg: cfg, log: logs.New("daemon", cfg.LogFormat, cfg.LogLevel, cfg.Log), started: time.Now().UTC()}
	if d.paths, err = Prepare(cfg.Dir); err != nil {
		return nil, err
	}
	d.copies.dir = d.paths.Daemons
	if err := d.paths.Check(); err != nil {
		if cfg.Beside {
			return nil, errors.New(withHint(err))
		}
		d.log.Error("theseusd would not start like this", "error", err) // but services must not go without a daemon
	}
	if d.file, err = newOperator(d.paths.Config, d.paths.Kept); err != nil {
		if cfg.Beside {
			return nil, err
		}
		d.log.Error("theseus.toml cannot be used; nothing is built until it is corrected", "error", err)
	}
	if d.store, err = release.OpenStore(d.paths.Store, d.paths.Trust); err != nil {
		return nil, err
	}
	if d.keel, err = keel.Connect(cfg.KeelFD); err != nil {
		return nil, err
	}
	d.host = host.New(host.Options{
		Run: d.paths.Run, State: d.paths.State, Programs: d.paths.Store, Listeners: d.keel, Packages: d.store,
		Settings: d.file.AtStart, LogFormat: cfg.LogFormat, LogLevel: cfg.LogLevel, Logger: d.log.Named("host"),
		Note:      func(e api.Event) { d.audit.Note(e) },
		Unsettled: func(in upgrades.Instance) { d.engine.Unsettled(in) },
	})
	if cfg.Beside {
		return d, nil // the journal is the other daemon's
	}
	return d, d.openEngine()
}

func (c *Config) defaults() {
	if c.KeelFD == 0 {
		c.KeelFD = keel.FD
	}
	if c.LogFormat == "" {
		c.LogFormat = "text"
	}
	if c.LogLevel == "" {
		c.LogLevel = "info"
	}
	if c.Log == nil {
		c.Log = os.Stderr
	}
	if c.Banner == nil {
		c.Banner = os.Stdout
	}
}

// openEngine takes charge of the instance.
func (d *Daemon) openEngine() error {
	d.file.begin()
	j, records, err := journal.Open(d.paths.Journal)
	if err != nil {
		return err
	}
	d.journal = j
	d.audit = audit.Open(audit.Options{Path: d.paths.Audit, Logger: logs.Slog(d.log.Named("audit"))})
	d.engine, err = upgrades.New(upgrades.Options{
		Host: d.host, Journal: j, Records: records, Store: d.store, Operator: d.file,
		Free: proc.Free, Keep: d.file.start.History.Keep,
		Logger: logs.Slog(d.log.Named("upgrades")), Journaled: d.audit.Wake,
	})
	if err == nil {
		d.store.Ask(d.engine.Taken)
	}
	return err
}

// Run attaches to what runs, starts what does not, and serves until ctx ends or the keel is gone. Then it stops the
// services in order; nil says that this went well. If it ends because another daemon takes over, services go on.
func (d *Daemon) Run(ctx context.Context) error {
	if d.cfg.Beside {
		if err := d.await(ctx); err != nil {
			return err
		}
		if err := d.openEngine(); err != nil {
			return err
		}
	}
	defer d.journal.Close()
	go d.audit.Run(d.engine)
	defer d.audit.Close()
	d.noteStart()
	fault.At(fault.DaemonStarted)
	ctx, d.letGo = context.WithCancelCause(ctx)
	defer d.letGo(nil)
	if d.cfg.Stop {
		d.letGo(errors.New("the keel was told to stop"))
	}
	go func() { d.letGo(d.keel.Beat(ctx, d.alive)) }()
	// Also a daemon that is to stop needs what runs: to stop it in order.
	if err := d.host.Attach(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	fault.At(fault.DaemonAttached)
	if err := d.recover(ctx); err != nil {
		return err // services go on; the keel starts the next daemon
	}
	err := d.serve(ctx)
	return errors.Join(err, d.leave(cmp.Or(context.Cause(ctx), err)))
}

// leave ends the daemon's work: its services too, unless another daemon takes over.
func (d *Daemon) leave(why error) error {
	d.audit.Note(api.Event{Kind: audit.DaemonStopped, Reason: fmt.Sprint(why), Detail: d.processes()})
	if errors.Is(why, errReplaced) {
		return d.release()
	}
	d.log.Info("stopping services", "because", why)
	return d.stop()
}

// recover resolves what a crash has interrupted, unless the daemon is to stop.
func (d *Daemon) recover(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	if err := d.engine.Recover(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("recover: %w", err)
	}
	fault.At(fault.DaemonRecovered)
	d.engine.Sweep()
	for _, note := range d.notes() {
		d.log.Warn(note)
	}
	return nil
}

// alive hangs if the daemon does; then the keel replaces it.
func (d *Daemon) alive() {
	d.engine.InProgress()
	d.host.Alive()
}

// serve runs the control socket, the boot and the drop folder until ctx ends.
func (d *Daemon) serve(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	ln, err := d.controlListener(ctx)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.server().Serve(ctx, ln) })
	g.Go(func() error { return d.boot(ctx) })
	err = g.Wait()
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx))) {
		return nil // that is how it is to end
	}
	return err
}

func (d *Daemon) controlListener(ctx context.Context) (net.Listener, error) {
	l, err := d.keel.Listen(ctx, keel.Address{
		Owner: "daemon", Name: "control", Network: "unix", Address: filepath.Join(d.paths.Run, api.SocketName),
	})
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	f := os.NewFile(uintptr(l.FD), api.SocketName)
	defer f.Close()
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	return ln, nil
}

func (d *Daemon) server() *control.Server {
	return control.New(control.Options{
		Engine: d.engine, Past: d.audit, Services: d.host, Store: d.store, Notes: func() []string {
			return slices.Concat(d.failure(), d.unwritable(), d.engine.Notes(), d.notes(), d.warnings())
		},
		Replacer: &replacer{d, d.letGo}, Safe: d.safe,
		Logger: logs.Slog(d.log.Named("control")),
		Daemon: api.Status{
			Dir: d.paths.Dir, Version: Version, PID: os.Getpid(), Keel: d.keel.PID(), Started: d.started,
		},
	})
}

// boot brings the services up, says so, and watches the drop folder from then on. A service that does not come up
// keeps nobody else from it.
func (d *Daemon) boot(ctx context.Context) error {
	if err := d.adopt(ctx); err != nil {
		d.log.Error("no first release", "error", err)
	}
	booted := make(chan error, 1)
	go func() { booted <- d.bootOnce(ctx) }()
	select {
	case err := <-booted:
		booted <- err
	case <-time.After(bootPatience):
		d.log.Warn("some services take long to come up", "waited", bootPatience)
	}
	fault.At(fault.DaemonBooted)
	first, err := d.keel.Ready(ctx)
	if err != nil {
		return err
	}
	d.noteReplaced(ctx)
	if first {
		d.banner()
	}
	d.prune(ctx)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return d.bootAgain(ctx, <-booted) })
	g.Go(func() error { return d.folder().Run(ctx, func() {}) })
	return g.Wait()
}

// bootPatience is how long the instance is not called ready for the sake of a service that does not come up.
const bootPatience = 10 * time.Second

func (d *Daemon) bootOnce(ctx context.Context) error {
	err := d.engine.Boot(ctx)
	if err != nil && ctx.Err() == nil {
		d.log.Error("not every service is up", "error", err)
	}
	return err
}

// bootEvery is how often a boot is tried that did not bring every service up.
const bootEvery = 5 * time.Second

// bootAgain goes on until every service has come up: a first release counts as one that runs only then.
func (d *Daemon) bootAgain(ctx context.Context, err error) error {
	for err != nil {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(bootEvery):
		}
		if name, _ := d.engine.Current(); name != "" {
			return nil // the host goes on by itself
		}
		err = d.engine.Boot(ctx)
	}
	return nil
}

func (d *Daemon) folder() *watch.Folder {
	log := logs.Slog(d.log.Named("releases"))
	policy := &watch.Policy{Store: d.store, Engine: d.engine, Read: d.rules, Logger: log}
	return &watch.Folder{Dir: d.paths.Releases, Handle: policy.Handle, Safe: d.takes, Logger: log}
}

// rules are the operator's for the drop folder, as they are now.
func (d *Daemon) rules() watch.Rules {
	f, err := d.file.newest()
	if err != nil {
		d.log.Warn("theseus.toml has a mistake; for the drop folder the last good one holds", "error", err)
	}
	return f
}

// stop ends the services in order.
func (d *Daemon) stop() error {
	d.engine.Close()
	d.engine.Supervise() // also if there was no boot that said how
	ctx, cancel := context.WithTimeout(context.Background(), shutdownBudget)
	defer cancel()
	return d.host.Shutdown(ctx)
}
