package upgrades

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/journal"
	"github.com/theseusd/theseus/upgrades/release"
)

// Journal is where decisions are written before they are acted upon; *journal.Journal is one.
type Journal interface {
	// Append returns when the record is on disk.
	Append(payload []byte) (seq uint64, err error)
	// Write returns when the record is in the kernel; sync returns when it is on disk.
	Write(payload []byte) (seq uint64, sync func() error, err error)
}

// Store is where packages are; *release.Store is one.
type Store interface {
	Get(digest string) (release.Package, error)
	Look(digest string) (release.Package, error) // Get without reading the binary
	// List lists all packages that can be read, and tells of others by its error. Neither it nor Versions, which lists
	// those of one service, reads their binaries.
	List() ([]release.Package, error)
	Versions(service string) ([]release.Package, error)
	Remove(digest string) error // one that is not there is removed already
	// Vouch is nil if somebody whom the instance trusts now has signed the package.
	Vouch(p release.Package) error
}

// Options of an Engine. Host, Journal and Store are required.
type Options struct {
	Host    Host
	Journal Journal
	Records []journal.Record // what the journal held when it was opened
	Store   Store

	Keep     int                               // entries of the journal: see DefaultKeep, which it is if 0
	Operator Operator                          // nothing is decided beside the manifests if nil
	Free     func() (bytes uint64, known bool) // memory that can still be had; nothing is refused for it if nil
	Logger   *slog.Logger                      // nothing is logged if nil

	// Journaled is called after each record that the journal has taken: Since has it. It must not wait for anything,
	// as nobody may be serving. May be nil.
	Journaled func()
}

// Engine runs upgrades, one at a time. Its methods may be called from any goroutine.
type Engine struct {
	host    Host
	journal Journal
	store   Store
	left    func() (bytes uint64, known bool) // memory; may be nil
	log     *slog.Logger
	wrote   func()
	keep    int

	operator Operator

	life context.Context // of the upgrade under way
	kill context.CancelCauseFunc

	depart sync.Mutex // one upgrade is planned and begun at a time, and not while services are being booted
	quiet  sync.Mutex // held while nobody serves, and by those who would write to the journal meanwhile
	shelf  sync.Mutex // held while a release is made of packages in the store, and while such are removed
	rigged sync.Mutex // held while the host is told how the release that serves is supervised
	books  sync.Mutex // orders what is written to the journal
	owed   []debt     // records that hold already and that the journal has refused so far; under books

	mu     sync.Mutex
	reg    *registry
	flight *flight // nil if none is
	trial  *trial  // the rehearsal under way, nil if none is

	restless map[string]*restless // versions that have not settled yet, by process
}

// New returns the engine of the instance that the journal tells of. It touches nothing: call Recover, then Boot.
func New(o Options) (*Engine, error) {
	records, err := decode(o.Records)
	if err != nil {
		return nil, err
	}
	reg, err := fold(records)
	if err != nil {
		return nil, err
	}
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{
		host: o.Host, left: o.Free, journal: o.Journal, store: o.Store, log: log, wrote: o.Journaled, operator: o.Operator, reg: reg,
		keep: o.Keep, restless: map[string]*restless{},
	}
	if e.keep <= 0 {
		e.keep = DefaultKeep
	}
	if e.wrote == nil {
		e.wrote = func() {}
	}
	if e.operator == nil {
		e.operator = nobody{}
	}
	e.life, e.kill = context.WithCancelCause(context.Background())
	return e, nil
}

// Close leaves an upgrade under way where it stands, as a crash of the daemon would, and returns when it is left.
// Services go on. The next engine on the same journal resolves it.
func (e *Engine) Close() {
	e.kill(ErrClosed)
	if f := e.current(); f != nil {
		<-f.done
	}
	if t := e.tried(); t != nil {
		<-t.done
	}
	e.leaveAll()
}

// Wait returns when no upgrade is under way, or with the cause of ctx.
func (e *Engine) Wait(ctx context.Context) error {
	for {
		f := e.current()
		if f == nil {
			return nil
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (e *Engine) current() *flight {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.flight
}

// Releases lists every release, the oldest first.
func (e *Engine) Releases() []control.Release {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]control.Release, 0, len(e.reg.releases))
	for _, n := range e.reg.releases {
		if !n.removed {
			list = append(list, n.view())
		}
	}
	return list
}

// Since lists what was journaled after the record of that number, the oldest first. What the journal has refused so far
// is not among it.
func (e *Engine) Since(seq uint64) []control.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.reg.since(seq))
}

// Current returns the release that serves and its status, current while it is on probation; nothing on an empty
// instance.
func (e *Engine) Current() (name, status string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := e.reg.find(e.reg.serving); n != nil {
		return n.name, n.status.String()
	}
	return "", ""
}

// InProgress returns the upgrade under way, or nil.
func (e *Engine) InProgress() *control.Upgrade {
	var now *control.Upgrade
	e.read(func(r *registry) {
		if u := r.upgrade; u != nil {
			held := u.plan.Hold && u.state == Probation
			now = &control.Upgrade{From: u.from, To: u.to, Step: string(u.state), Until: u.until, Held: held}
		}
	})
	if f := e.current(); f != nil && now != nil && now.Step == string(Probation) {
		now.Trials = f.onTrial()
	}
	return now
}

// read gives f the registry; f keeps nothing of it that changes.
func (e *Engine) read(f func(r *registry)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f(e.reg)
}

// packageOf finds the package of one service of a release. It does not read the binary: the host does, before it starts it.
func (e *Engine) packageOf(service string, it item) (release.Package, error) {
	return e.packageBy(e.store.Look, service, it)
}

// packageBy is packageOf by either method of the store.
func (e *Engine) packageBy(get func(string) (release.Package, error), service string, it item) (release.Package, error) {
	p, err := get(it.Digest)
	if err != nil {
		return p, fmt.Errorf("%s %s: %w", service, it.Version, err)
	}
	p.Settings = it.Settings
	if p.Name != service || p.Version != it.Version {
		return p, fmt.Errorf("%s %s: the store holds %s %s under this digest", service, it.Version, p.Name, p.Version)
	}
	return p, nil
}

// closed is the error of an engine that was closed, else nil.
func (e *Engine) closed() error {
	if cause := context.Cause(e.life); errors.Is(cause, ErrClosed) {
		return cause
	}
	return nil
}
