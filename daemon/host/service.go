package host

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/theseusd/theseus/daemon/audit"
	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/sdk/supervise"
	"github.com/theseusd/theseus/upgrades"
	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/release"
)

// States of a service, as people read them.
const (
	stateStarting   = "starting"
	stateRunning    = "running"
	stateRestarting = "restarting"
	stateFailed     = "failed"
	stateEnded      = "ended" // by itself, and it is not to be started again
)

// restartBudget is for one start with activation: reading a long state log takes its time.
const restartBudget = 2 * time.Minute

// service is one service: what runs of it, and what its supervisor sees of that.
type service struct {
	host *Host
	name string
	gate gate // held by a start and a stop of its supervisor, so that Take waits for it

	ports   sync.Mutex     // held while listeners are opened for an upgrade, or closed
	pending sync.WaitGroup // processes that an earlier daemon left and that have not answered yet

	mu        sync.Mutex // of all below; never held over a call to a process
	instances []*instance
	serving   upgrades.Instance // nil if none is to serve
	taken     bool
	state     string
	reason    string
	again     time.Time // when it is started again by itself, of one that has failed; zero for never
	restarts  int
	recent    []time.Time // the last of them
	trouble   string      // why the last restart failed
	last      string      // how what was restarted last had ended
	still     int         // seconds for which what serves has given no answer

	home   *group // its supervisor
	child  *child // what its supervisor watches; nil while there is none
	loose  bool   // no supervisor has it, nor is one about to start it again
	fresh  bool   // no supervisor has seen what was given: not even that it is dead
	given  bool   // since its supervisor was last seen at work
	halted bool   // its supervisor stops it
	moving bool   // from one supervisor to another: it runs on
}

// gate is a lock that may be held for minutes. A mutex would stop the virtual time of tests meanwhile.
type gate chan struct{}

func (g gate) Lock()   { g <- struct{}{} }
func (g gate) Unlock() { <-g }

// newService is taken until it is given.
func newService(h *Host, name string) *service {
	return &service{host: h, name: name, taken: true, loose: true, gate: make(gate, 1)}
}

// start is how a supervisor starts the service: it brings a dead one up. One that runs is adopted as it is. One that is
// taken, or was never given, is a child all the same: those who have it look after it.
func (s *service) start(ctx context.Context, g *group) (supervise.Child, error) {
	s.gate.Lock()
	defer s.gate.Unlock()
	c := &child{service: s, group: g}
	dead, err := s.bind(c)
	if dead == nil {
		return c, err
	}
	began := time.Now()
	in, err := s.host.bring(ctx, dead.Package())
	if err != nil {
		s.failed(ctx, dead.Package(), err)
		return nil, err
	}
	s.restarted(c, in, time.Since(began))
	return c, nil
}

// bind makes c what the supervisor watches, unless something has to be started for that: then it says what.
func (s *service) bind(c *child) (dead upgrades.Instance, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.home != c.group {
		return nil, supervise.ErrIgnore
	}
	fresh := s.fresh && !c.group.beginsAgain()
	s.fresh, s.given, s.loose, s.halted = false, false, false, false
	if !s.taken && s.serving != nil && isDone(s.serving) && !fresh {
		return s.serving, nil
	}
	s.child = c
	if s.taken || s.serving == nil {
		return nil, nil
	}
	if !isDone(s.serving) {
		s.state, s.reason = stateRunning, ""
	}
	go s.heed(s.serving)
	return nil, nil
}

// failed notes a start that did not work; the dead instance stays the serving one until one works.
func (s *service) failed(ctx context.Context, p release.Package, err error) {
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	s.trouble, s.reason = err.Error(), s.because(err)
	s.mu.Unlock()
	s.host.log.Error("restart failed", "service", s.name, "error", err)
	s.host.o.Note(control.Event{Kind: audit.Crashed, Service: s.name, Text: p.Version, Reason: err.Error()})
}

// maxRecent is how many restarts are remembered one by one, for people to see.
const maxRecent = 99

func (s *service) restarted(c *child, in upgrades.Instance, took time.Duration) {
	s.mu.Lock()
	s.child, s.serving, s.state, s.reason, s.trouble, s.still = c, in, stateRunning, "", "", 0
	s.restarts++
	s.recent = append(s.recent[max(len(s.recent)-maxRecent, 0):], time.Now())
	s.mu.Unlock()
	go s.heed(in)
	version := in.Package().Version
	s.host.log.Info("service restarted", "service", s.name, "process", in.ID(), "took", took)
	s.host.o.Note(control.Event{Kind: audit.Restarted, Service: s.name, Text: version, Took: took.Seconds()})
}

// bringUp starts a version and makes it the active one.
func (h *Host) bringUp(ctx context.Context, p release.Package) (upgrades.Instance, error) {
	ctx, cancel := context.WithTimeout(ctx, restartBudget)
	defer cancel()
	in, err := h.start(ctx, p)
	if err != nil {
		return nil, err
	}
	if _, err := in.Activate(ctx, nil, false); err != nil {
		_ = in.kill() // it is of no use, alive or not
		return nil, err
	}
	if err := in.Settle(ctx); err != nil { // it answers no address of another version: that is for probations
		h.log.Warn("a version goes on as in a probation, and will be told again that it is over", "service", p.Name, "error", err)
		h.o.Unsettled(in)
	}
	return in, nil
}

// heed tells the supervisor when an instance dies.
func (s *service) heed(in upgrades.Instance) {
	select {
	case <-in.Done():
		s.died(in)
	case <-s.host.life.Done():
	}
}

// died hands the end of the serving instance to the supervisor, unless the service is taken: then it belongs to whoever
// took it.
func (s *service) died(in upgrades.Instance) {
	s.mu.Lock()
	c := s.child
	if s.taken || s.serving != in || c == nil || s.halted { // who halts it tells its end
		s.mu.Unlock()
		return
	}
	end := endOf(in)
	if s.trouble != "" {
		end.how = s.trouble
	}
	s.child = nil
	s.state, s.reason, s.last = stateRestarting, end.how, end.how
	if !c.group.again(s.name, end.orderly()) {
		s.state, s.loose = stateEnded, true
	}
	s.mu.Unlock()
	s.tellEnd(in, end)
	c.end(end)
}

func (s *service) tellEnd(in upgrades.Instance, end *ended) {
	version := in.Package().Version
	s.host.log.Warn("service died", "service", s.name, "version", version, "how", end.how)
	s.host.o.Note(control.Event{Kind: audit.Crashed, Service: s.name, Text: version, Reason: end.how})
}

// limits are those of a version: a new one brings its own, and they go back with it.
func (h *Host) limits(p release.Package) appup.Restart { return h.decisions(p).Limits(p.Manifest) }

func (s *service) take() upgrades.Instance {
	s.mu.Lock()
	s.taken = true
	s.mu.Unlock()
	s.pending.Wait()
	s.gate.Lock() // a restart that is under way ends first
	defer s.gate.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serving == nil || isDone(s.serving) {
		return nil
	}
	return s.serving
}

func (s *service) give(in upgrades.Instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serving, s.taken, s.still = in, false, 0
	s.fresh, s.given = s.loose, true
	s.trouble, s.reason = s.reason, ""
	s.state = stateRunning
	switch {
	case in == nil:
		s.state = ""
	case isDone(in):
		s.state, s.reason = stateRestarting, s.trouble // why it did not come up, if that was noted
		go s.heed(in)
		return
	default:
		go s.heed(in)
	}
	s.trouble = ""
}

// add makes an instance known.
func (s *service) add(in *instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instances = append(s.instances, in)
}

// adopt makes the instance the serving one if it is the active one of the highest epoch so far.
func (s *service) adopt(in *instance, st upgrades.Status) {
	if st.Role != upgrades.Active {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.serving.(*instance); ok && old.seen().Epoch > st.Epoch {
		return
	}
	s.serving = in
}

func (s *service) remove(in *instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.instances = slices.DeleteFunc(s.instances, func(other *instance) bool { return other == in })
}

func (s *service) alive() []*instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.instances), func(in *instance) bool { return isDone(in) })
}

// note keeps why a start failed, for a service that nobody serves.
func (s *service) note(state string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serving != nil {
		return
	}
	s.state, s.reason, s.again = state, "", time.Time{}
	if err != nil {
		s.reason = s.because(err)
	}
}

// because is an error for people, with what to do if that is known.
func (s *service) because(err error) string {
	var taken *upgrades.ListenError
	if errors.As(err, &taken) {
		return err.Error() + "; " + taken.Hint(s.name)
	}
	return err.Error()
}

// view is the service without what has to be asked of its processes.
func (s *service) view() control.ServiceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := control.ServiceStatus{Name: s.name, State: s.state, Reason: s.reason, Restarts: s.restarts}
	if s.state == stateFailed {
		v.Again = s.again
	}
	if s.serving != nil {
		p := s.serving.Package()
		v.Version, v.Command = p.Version, command(p)
	}
	return v
}

func isDone(in upgrades.Instance) bool {
	select {
	case <-in.Done():
		return true
	default:
		return false
	}
}
