package host

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/theseusd/theseus/daemon/internal/proc"
	"github.com/theseusd/theseus/daemon/keel"
	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades"
	"github.com/theseusd/theseus/upgrades/release"
)

// Listeners opens listening sockets that outlive us; *keel.Client is one.
type Listeners interface {
	Listen(ctx context.Context, a keel.Address) (*keel.Listener, error)
	Retain(ctx context.Context, owner string, named []keel.Address) error
}

// Packages is where binaries are, verified anew at each Get and not at a Look; *release.Store is one.
type Packages interface {
	Look(digest string) (release.Package, error)
	Get(digest string) (release.Package, error)
}

// Options of a Host. Run, State, Programs, Listeners and Packages are required.
type Options struct {
	Run       string // directory of sockets and records
	State     string // directory of the services' state directories
	Programs  string // directory that all our binaries are below: what runs from there is ours
	Listeners Listeners
	Packages  Packages
	Settings  func(service string) release.Settings // of packages that come without; none if nil
	Patience  time.Duration                         // with a silent process that is found, until it is killed; 30 s if 0
	LogFormat string                                // of the services: text or json
	LogLevel  string
	Logger    hclog.Logger // nothing is logged if nil

	// Note is told of crashes and restarts. It returns at once. May be nil.
	Note func(control.Event)

	// Unsettled is told of a version that was started again and serves, but did not settle: it is to be asked again. It
	// returns at once. May be nil.
	Unsettled func(upgrades.Instance)
}

// Host implements upgrades.Host with processes.
type Host struct {
	o   Options
	log hclog.Logger

	life  context.Context // of pings, and of all else
	end   context.CancelFunc
	going context.Context // of supervision; ends before life does
	halt  context.CancelFunc
	calm  context.Context // of orderly stops; when it ends they are by force
	hurry context.CancelFunc

	mu       sync.Mutex // of the map and order alone; never held over a call to a process
	services map[string]*service

	stopped func(pid int) bool // by a signal; proc.Stopped, but for tests

	tree  *tree
	bring func(ctx context.Context, p release.Package) (upgrades.Instance, error) // bringUp, but for tests
}

var _ upgrades.Host = (*Host)(nil)

// New returns a host that runs nothing yet. Call Attach before anything else.
func New(o Options) *Host {
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	if o.Note == nil {
		o.Note = func(control.Event) {}
	}
	if o.Unsettled == nil {
		o.Unsettled = func(upgrades.Instance) {}
	}
	if o.Settings == nil {
		o.Settings = func(string) release.Settings { return release.NoSettings }
	}
	if o.Patience == 0 {
		o.Patience = attachPatience
	}
	life, end := context.WithCancel(context.Background())
	going, halt := context.WithCancel(life)
	calm, hurry := context.WithCancel(life)
	h := &Host{
		o: o, log: o.Logger, life: life, end: end, going: going, halt: halt, calm: calm, hurry: hurry,
		services: map[string]*service{}, stopped: proc.Stopped,
	}
	h.tree, h.bring = newTree(h), h.bringUp
	return h
}

// Close ends supervision and lets go of every process. They live on, for the next host.
func (h *Host) Close() { h.end() }

// service returns the service of that name, a new one if need be.
func (h *Host) service(name string) *service {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.services[name]
	if s == nil {
		s = newService(h, name)
		h.services[name] = s
		h.tree.begin()
		h.tree.nudge()
	}
	return s
}

// all services, in no order.
func (h *Host) all() []*service {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]*service, 0, len(h.services))
	for _, s := range h.services {
		list = append(list, s)
	}
	return list
}

// names of all services, in order.
func (h *Host) names() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.services))
}

// Instances lists the live processes of a service.
func (h *Host) Instances(name string) []upgrades.Instance {
	var list []upgrades.Instance
	for _, in := range h.service(name).alive() {
		list = append(list, in)
	}
	return list
}

// Take suspends supervision; a restart that is under way ends first.
func (h *Host) Take(name string) upgrades.Instance { return h.service(name).take() }

// Give ends Take. Listeners that no process of the service and not the serving version has use for are closed.
func (h *Host) Give(name string, in upgrades.Instance) {
	s := h.service(name)
	s.give(in)
	h.tree.given(s)
	s.tidy()
}

// decisions are the settings that a package runs with.
func (h *Host) decisions(p release.Package) release.Decisions {
	d, err := p.Decisions(h.o.Settings)
	if err != nil {
		h.log.Error("settings that are none", "service", p.Name, "error", err)
	}
	return d
}
