package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/theseusd/theseus/daemon/internal/proc"
	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades"
)

// viewBudget bounds what the status page waits for a process; of a silent one it shows the last answer.
const viewBudget = 300 * time.Millisecond

// Services tells what runs, by name.
func (h *Host) Services() []control.ServiceStatus {
	services := h.all()
	list := make([]control.ServiceStatus, len(services))
	var wg sync.WaitGroup
	for i, s := range services {
		wg.Go(func() { list[i] = s.status() })
	}
	wg.Wait()
	list = slices.DeleteFunc(list, func(v control.ServiceStatus) bool {
		return v.State == "" && v.PID == 0 && len(v.Standbys) == 0 // was given up
	})
	slices.SortFunc(list, func(a, b control.ServiceStatus) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// answer is what a process says on being asked.
type answer struct {
	in     *instance
	st     upgrades.Status
	silent time.Duration // since its last answer, if this is an old one
}

func (s *service) status() control.ServiceStatus {
	v := s.view()
	answers := ask(s.alive())
	main := s.main(answers)
	for i, a := range answers {
		if i != main {
			v.Standbys = append(v.Standbys, control.Process{
				Version: a.in.pkg.Version, PID: a.in.record.PID, Role: string(a.st.Role), Lag: a.st.Lag,
				RSS: proc.RSS(a.in.record.PID),
			})
		}
	}
	if main >= 0 {
		answers[main].fill(&v)
	}
	return v
}

// main is the index of the process that serves: the active one, which during an upgrade may be another than the one
// that was given, or that one. It is -1 if neither lives.
func (s *service) main(answers []answer) int {
	best := activeOf(answers)
	s.mu.Lock()
	defer s.mu.Unlock()
	if best >= 0 || s.serving == nil {
		return best
	}
	return slices.IndexFunc(answers, func(a answer) bool { return upgrades.Instance(a.in) == s.serving })
}

// activeOf is the index of the active process of the highest epoch, -1 if there is none.
func activeOf(answers []answer) int {
	best := -1
	for i, a := range answers {
		if a.st.Role == upgrades.Active && (best < 0 || a.st.Epoch > answers[best].st.Epoch) {
			best = i
		}
	}
	return best
}

func (a answer) fill(v *control.ServiceStatus) {
	if v.State != stateRestarting && a.st.Role == upgrades.Active {
		v.State, v.Reason, v.Again = stateRunning, "", time.Time{} // also one that is not given yet: attached, or new and on probation
	}
	if a.silent > 2*pingEvery {
		v.Reason = fmt.Sprintf("has not answered for %s", a.silent.Round(time.Second))
	}
	v.Version, v.Command = a.in.pkg.Version, command(a.in.pkg)
	v.PID, v.Started, v.RSS = a.in.record.PID, a.in.record.Started, proc.RSS(a.in.record.PID)
	v.Epoch, v.Rows, v.LogBytes, v.Connections = a.st.Epoch, a.st.Rows, a.st.LogBytes, a.st.Connections
	v.Listeners = a.in.listeners()
}

// ask asks all at once; of a silent process the last answer must do.
func ask(list []*instance) []answer {
	answers := make([]answer, len(list))
	var wg sync.WaitGroup
	for i, in := range list {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(in.host.life, viewBudget)
			defer cancel()
			st, err := in.ask(ctx)
			answers[i] = answer{in: in, st: st}
			if err != nil {
				answers[i] = answer{in: in, st: in.seen(), silent: in.silence()}
			}
		})
	}
	wg.Wait()
	return answers
}

// listeners with their real addresses, but for the service's own socket, which people do not use.
func (in *instance) listeners() map[string]string {
	m := map[string]string{}
	for _, b := range in.record.Listeners {
		if b.Name != controlListener {
			m[b.Name] = b.Real
		}
	}
	return m
}

// Shutdown stops all services, in the reverse order of their start, and returns when every process is gone. When ctx ends
// the rest is killed.
func (h *Host) Shutdown(ctx context.Context) error {
	defer context.AfterFunc(ctx, h.hurry)()
	h.settleTree(ctx)
	h.halt()
	h.tree.ended(ctx)
	var errs []error
	for _, s := range h.all() { // what no supervisor has: standbys
		s.take()
		errs = append(errs, s.stop(ctx))
	}
	h.end()
	return errors.Join(errs...)
}

// settleTree has services stop in the order that was declared last, also if it was in this moment.
func (h *Host) settleTree(ctx context.Context) {
	if len(h.names()) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, arrangePatience)
	defer cancel()
	h.tree.arranged(ctx)
}

// stop ends all processes of the service, standbys too.
func (s *service) stop(ctx context.Context) error {
	var wg sync.WaitGroup
	list := s.alive()
	errs := make([]error, len(list))
	for i, in := range list {
		wg.Go(func() { errs[i] = in.Stop(ctx) })
	}
	wg.Wait()
	if len(list) > 0 {
		s.host.log.Info("service stopped", "service", s.name)
	}
	return errors.Join(errs...)
}

// Alive returns when every lock here could be had: a host that hangs keeps its caller.
func (h *Host) Alive() {
	for _, s := range h.all() {
		s.view()
		h.tree.group(s.name)
	}
}
