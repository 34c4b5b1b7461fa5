package host

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/sdk/supervise"
	"github.com/theseusd/theseus/sdk/wire"
	"github.com/theseusd/theseus/upgrades/release"
)

// Tree is the supervision tree that is in force, and what is to become of it: a supervisor that is at work holds a change up. It
// waits for none; of a silent process it shows the last answer.
func (h *Host) Tree() control.Node {
	v := viewer{tree: h.tree, services: map[string]control.ServiceStatus{}}
	v.standing, v.pending = h.tree.inForce()
	for _, s := range h.Services() {
		v.services[s.Name] = s
	}
	v.mailboxes = h.mailboxes()
	return v.root()
}

// mailboxes asks every process what waits in it, by pid. One that does not say has none, or is silent.
func (h *Host) mailboxes() map[int]*uint64 {
	var mu sync.Mutex
	var wg sync.WaitGroup
	m := map[int]*uint64{}
	for _, s := range h.all() {
		for _, in := range s.alive() {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(h.life, viewBudget)
				defer cancel()
				if r, err := in.svc.Status(ctx, &wire.StatusRequest{Mailboxes: true}); err == nil {
					mu.Lock()
					defer mu.Unlock()
					m[in.record.PID] = r.Mailbox
				}
			})
		}
	}
	wg.Wait()
	return m
}

// viewer draws one picture.
type viewer struct {
	standing
	pending   []string
	tree      *tree
	services  map[string]control.ServiceStatus // that there is something of
	mailboxes map[int]*uint64
}

func (v *viewer) root() control.Node {
	n := control.Node{
		Name: release.Root, Kind: supervise.IsSupervisor.String(), State: stateRunning, Started: v.tree.began(),
		Strategy: supervise.OneForOne.String(), Restart: supervise.Permanent.String(), Mailbox: waiting(v.tree.root),
		Pending: v.pending,
	}
	for _, name := range v.tops() {
		n.Children = v.add(n.Children, name, release.Root)
	}
	for _, name := range slices.Sorted(maps.Keys(v.services)) {
		if v.home[name] == "" { // it has come since
			n.Children = append(n.Children, v.worker(v.services[name]))
		}
	}
	return n
}

// add appends a child, unless it is a service of which nothing is left.
func (v *viewer) add(list []control.Node, name, above string) []control.Node {
	g := v.groups[name]
	if _, declared := v.Supervisors[name]; declared {
		return append(list, v.supervisor(g))
	}
	s, there := v.services[name]
	if !there {
		return list
	}
	n := v.worker(s)
	if above == release.Root && g != nil {
		n.Recent, n.Intensity, n.Period = g.window()
	} else if g := v.groups[above]; g != nil {
		_, _, n.Period = g.window()
		n.Recent = v.tree.host.service(name).since(time.Duration(n.Period) * time.Second)
	}
	return append(list, n)
}

func (v *viewer) supervisor(g *group) control.Node {
	sup := v.Supervisors[g.name]
	n := control.Node{
		Name: g.name, Kind: supervise.IsSupervisor.String(), Strategy: sup.Strategy.String(), Restart: sup.Restart.String(),
		Mailbox: waiting(g.sup),
	}
	n.Recent, n.Intensity, n.Period = g.window()
	g.mu.Lock()
	n.State, n.Restarts = g.state, g.restarts
	if g.state == stateRunning {
		n.Started = g.since
	}
	g.mu.Unlock()
	for _, child := range sup.Children {
		n.Children = v.add(n.Children, child, g.name)
	}
	return n
}

func (v *viewer) worker(s control.ServiceStatus) control.Node {
	m := v.Services[s.Name]
	return control.Node{
		LastEnd: v.tree.host.service(s.Name).lastEnd(), Liveness: m.Liveness.String(),
		Name: s.Name, Kind: supervise.Worker.String(), State: s.State, Reason: s.Reason, Version: s.Version, PID: s.PID,
		Restart: m.Restart.String(), Shutdown: m.Shutdown.String(), Started: s.Started, Restarts: s.Restarts,
		Mailbox: v.mailboxes[s.PID],
	}
}

// window is what the supervisor counts: restarts within its period, and how many there may be.
func (g *group) window() (recent int, intensity *int, period float64) {
	g.mu.Lock()
	n, d := max(g.flags.Intensity, 0), g.flags.Period
	g.mu.Unlock()
	return g.sup.Restarts(), &n, d.Seconds()
}

func waiting(s *supervise.Supervisor) *uint64 {
	n := uint64(s.Waiting())
	return &n
}

// lastEnd is how what was restarted last had ended.
func (s *service) lastEnd() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// since counts the restarts of the last time.
func (s *service) since(d time.Duration) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.recent {
		if time.Since(at) <= d {
			n++
		}
	}
	return n
}
