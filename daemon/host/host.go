package host

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

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
}

// Host implements upgrades.Host with processes.
type Host struct {
	o   Options
	log hclog.Logger

	life  context.Context // of pings, and of all else
	end   context.CancelFunc
	going context.Context // of supervision; ends before life does
	halt  context.CancelFunc

	mu       sync.Mutex // of the map and order alone; never held over a call to a process
	services map[string]*service
	given    int
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
	if o.Settings == nil {
		o.Settings = func(string) release.Settings { return release.NoSettings }
	}
	if o.Patience == 0 {
		o.Patience = attachPatience
	}
	life, end := context.WithCancel(context.Background())
	going, halt := context.WithCancel(life)
	return &Host{o: o, log: o.Logger, life: life, end: end, going: going, halt: halt, services: map[string]*service{}}
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
		go s.supervise(h.going)
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
	h.mu.Lock()
	h.given++
	turn := h.given
	h.mu.Unlock()
	s := h.service(name)
	s.give(in, turn)
	s.tidy()
}

// decisions are the settings that a package runs with.
func (h *Host) decisions(p release.Package) release.Decisions {
	s := p.Settings
	if s == "" {
		s = h.o.Settings(p.Name)
	}
	d, err := s.Decisions()
	if err != nil {
		h.log.Error("settings that are none", "service", p.Name, "error", err)
	}
	return d
}

// Arrange says in which order services would have been given that have not been given yet.
func (h *Host) Arrange(names []string) {
	for _, name := range names {
		s := h.service(name)
		h.mu.Lock()
		h.given++
		turn := h.given
		h.mu.Unlock()
		s.mu.Lock()
		if s.turn == 0 {
			s.turn = turn
		}
		s.mu.Unlock()
	}
}
