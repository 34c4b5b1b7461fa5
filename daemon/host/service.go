package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/theseusd/theseus/daemon/audit"
	"github.com/theseusd/theseus/sdk/control"
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
)

// restartBudget is for one start with activation: reading a long state log takes its time.
const restartBudget = 2 * time.Minute

const failedHint = "if it does not come up by itself: reltool rollback, or an upgrade to a better version"

// failedRest is how long a service that failed is left alone: what it lacked, as disk space, may be there again.
const failedRest = 30 * time.Second

// service is the supervision of one service.
type service struct {
	host *Host
	name string
	wake chan struct{} // something below has changed
	gate sync.Mutex    // held by a restart, so that Take waits for it

	ports   sync.Mutex     // held while listeners are opened for an upgrade, or closed
	pending sync.WaitGroup // processes that an earlier daemon left and that have not answered yet

	mu        sync.Mutex // of all below; never held over a call to a process
	instances []*instance
	serving   upgrades.Instance // nil if none is to serve
	taken     bool
	turn      int // of the last Give, for the order of stopping
	state     string
	reason    string
	restarts  int
	recent    []time.Time // restarts within the period
	trouble   string      // why the last restart failed
}

// newService is taken until it is given.
func newService(h *Host, name string) *service {
	return &service{host: h, name: name, wake: make(chan struct{}, 1), taken: true}
}

// supervise restarts the serving instance whenever it is dead, one for one. After too many restarts within the period
// the service has failed, and is tried afresh every failedRest.
func (s *service) supervise(ctx context.Context) {
	for {
		serving := s.watched()
		var died <-chan struct{}
		if serving != nil {
			died = serving.Done()
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-died:
			s.restart(ctx, serving)
		case <-s.rested():
			s.afresh()
		}
	}
}

// rested fires when a service that failed is to be tried again; it is nil for any other.
func (s *service) rested() <-chan time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken || s.state != stateFailed {
		return nil
	}
	return time.After(failedRest)
}

// afresh forgets the restarts that did not help.
func (s *service) afresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.taken && s.state == stateFailed && s.serving != nil {
		s.state, s.recent = stateRestarting, nil
	}
}

// watched is the instance whose death is ours to mend, or nil.
func (s *service) watched() upgrades.Instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken || s.state == stateFailed {
		return nil
	}
	return s.serving
}

// restart makes one attempt; the dead instance stays the serving one until it succeeds, so supervise comes again.
func (s *service) restart(ctx context.Context, dead upgrades.Instance) {
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.watched() != dead || ctx.Err() != nil || !s.mayRestart(dead, time.Now()) {
		return
	}
	began := time.Now()
	in, err := s.bring(ctx, dead.Package())
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.trouble, s.reason = err.Error(), s.because(err)
		s.host.log.Error("restart failed", "service", s.name, "error", err)
		return
	}
	s.serving, s.state, s.reason, s.trouble = in, stateRunning, "", ""
	s.restarts++
	s.host.log.Info("service restarted", "service", s.name, "pid", in.record.PID, "took", time.Since(began))
	s.host.o.Note(control.Event{
		Kind: audit.Restarted, Service: s.name, Text: in.pkg.Version, Took: time.Since(began).Seconds(),
	})
}

// bring starts a version and makes it the active one.
func (s *service) bring(ctx context.Context, p release.Package) (*instance, error) {
	ctx, cancel := context.WithTimeout(ctx, restartBudget)
	defer cancel()
	in, err := s.host.start(ctx, p)
	if err != nil {
		return nil, err
	}
	if _, err := in.Activate(ctx, nil, false); err != nil {
		in.kill()
		return nil, err
	}
	return in, nil
}

// mayRestart notes a restart, or that there have been too many of them.
func (s *service) mayRestart(dead upgrades.Instance, now time.Time) bool {
	r := s.host.limits(dead.Package())
	s.mu.Lock()
	defer s.mu.Unlock()
	how := s.trouble
	if how == "" {
		how = exitOf(dead)
	}
	s.recent = slices.DeleteFunc(s.recent, func(t time.Time) bool { return now.Sub(t) > time.Duration(r.Period) })
	if len(s.recent) >= r.Intensity {
		s.state = stateFailed
		s.reason = fmt.Sprintf("%d restarts within %s did not help: %s", len(s.recent), time.Duration(r.Period), how)
		s.host.log.Error("SERVICE FAILED: too many restarts", "again_in", failedRest, "service", s.name,
			"version", dead.Package().Version, "reason", s.reason, "hint", failedHint)
		s.host.o.Note(control.Event{
			Kind: audit.Failed, Service: s.name, Text: dead.Package().Version, Reason: s.reason, Hint: failedHint,
		})
		return false
	}
	s.recent = append(s.recent, now)
	s.state, s.reason = stateRestarting, how
	s.host.log.Warn("service died; restarting it", "service", s.name, "version", dead.Package().Version, "how", how)
	s.host.o.Note(control.Event{Kind: audit.Crashed, Service: s.name, Text: dead.Package().Version, Reason: how})
	return true
}

// limits are those of the version that died: a new one brings its own, and they go back with it.
func (h *Host) limits(p release.Package) appup.Restart { return h.decisions(p).Limits(p.Manifest) }

func exitOf(in upgrades.Instance) string {
	if own, ok := in.(*instance); ok {
		return own.exit()
	}
	return "it did not come up"
}

func (s *service) take() upgrades.Instance {
	s.mu.Lock()
	s.taken = true
	s.mu.Unlock()
	s.pending.Wait()
	s.gate.Lock() // a restart that is under way ends first
	defer s.gate.Unlock()
	s.nudge()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serving == nil || isDone(s.serving) {
		return nil
	}
	return s.serving
}

func (s *service) give(in upgrades.Instance, turn int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serving, s.taken, s.turn = in, false, turn
	s.recent, s.trouble, s.reason = nil, s.reason, ""
	s.state = stateRunning
	switch {
	case in == nil:
		s.state = ""
	case isDone(in):
		s.state, s.reason = stateRestarting, s.trouble // why it did not come up, if that was noted
		s.nudge()
		return
	}
	s.trouble = ""
	s.nudge()
}

// nudge has supervise look again.
func (s *service) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
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
	s.state, s.reason = state, ""
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
