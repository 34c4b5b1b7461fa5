package host

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/theseusd/theseus/daemon/audit"
	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/sdk/supervise"
	"github.com/theseusd/theseus/upgrades"
)

// child is a service in the hands of its supervisor, from one start to the end that follows it. What runs of the service
// may change meanwhile: an upgrade exchanges the process and leaves the child.
type child struct {
	service *service
	group   *group

	mu      sync.Mutex
	over    bool
	reason  error
	watcher func(error)
}

var _ supervise.Child = (*child)(nil)

// Watch has the supervisor told of the end.
func (c *child) Watch(f func(reason error)) {
	c.mu.Lock()
	over, reason := c.over, c.reason
	c.watcher = f
	c.mu.Unlock()
	if over {
		f(reason)
	}
}

// end is told once.
func (c *child) end(reason error) {
	c.mu.Lock()
	if c.over {
		c.mu.Unlock()
		return
	}
	c.over, c.reason = true, reason
	f := c.watcher
	c.mu.Unlock()
	if f != nil {
		f(reason)
	}
}

// Shutdown ends what serves of the service, in order. Of one that is taken too: whoever has it sees a crash.
func (c *child) Shutdown(error) { go c.service.halt(c) }

// Kill ends it by force.
func (c *child) Kill() { go c.service.slay(c) }

// halt ends the process that serves.
func (s *service) halt(c *child) {
	s.gate.Lock()
	defer s.gate.Unlock()
	ctx, cancel := c.group.shutdown(s.name)
	defer cancel()
	s.finish(ctx, c)
	s.release(c, supervise.ErrShutdown)
}

// slay ends by force what is not asked, or what halt could not stop in time.
func (s *service) slay(c *child) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // no time is left
	s.finish(ctx, c)
	s.release(c, supervise.ErrKilled)
}

// finish ends the process that serves as this child. While the service changes its supervisor, or the host is closed, it lives on.
func (s *service) finish(ctx context.Context, c *child) {
	in, because, first := s.halting(c)
	if in == nil {
		return
	}
	if err := in.Stop(ctx); err != nil {
		s.host.log.Warn("a process did not stop in order", "service", s.name, "process", in.ID(), "error", err)
	}
	if first {
		s.host.log.Info("service stopped", "service", s.name)
	}
	if first && because != "" {
		s.host.o.Note(control.Event{Kind: audit.Stopped, Service: s.name, Text: in.Package().Version, Reason: because})
	}
}

// halting says what is to be stopped, nil if nothing is, which other child's end is the reason, if one is, and whether nobody has
// begun yet. Once c has ended, what runs is another child's.
func (s *service) halting(c *child) (in upgrades.Instance, because string, first bool) {
	s.mu.Lock()
	if !s.isHeld(c) {
		s.mu.Unlock()
		return nil, "", false
	}
	first, s.halted = !s.halted, true
	s.loose = c.group.member(s.name).Restart == supervise.Temporary // it is gone after it
	s.mu.Unlock()
	in, because = s.active(), s.host.tree.cause(s.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if in == nil || isDone(in) || !s.isHeld(c) {
		return nil, "", false
	}
	if because != "" && !s.taken {
		s.state, s.reason, s.last = stateRestarting, because, because
	}
	if s.loose && !s.taken {
		s.state = stateEnded
	}
	return in, because, first
}

// isHeld is true while the child decides about the service. The caller holds mu.
func (s *service) isHeld(c *child) bool {
	return s.child == c && !s.moving && s.host.life.Err() == nil
}

// release ends the child.
func (s *service) release(c *child, reason error) {
	s.mu.Lock()
	if s.child == c {
		s.child = nil
	}
	s.mu.Unlock()
	c.end(reason)
}

// active is the process that serves: the given one, and during an upgrade the one that says so.
func (s *service) active() upgrades.Instance {
	s.mu.Lock()
	in, taken := s.serving, s.taken
	s.mu.Unlock()
	if !taken {
		return in
	}
	answers := ask(s.alive())
	if i := activeOf(answers); i >= 0 {
		return answers[i].in
	}
	return nil
}

// ended is how a process ended, as the reason of a child.
type ended struct {
	how  string
	zero bool // it had nothing more to do
}

func (e *ended) Error() string { return e.how }

// Unwrap makes an exit status of 0 a normal end.
func (e *ended) Unwrap() error {
	if e.zero {
		return supervise.ErrNormal
	}
	return nil
}

func (e *ended) orderly() bool { return errors.Is(e, supervise.ErrNormal) }

// endOf tells how an instance ended. Of one whose exit status nobody here has it is a failure.
func endOf(in upgrades.Instance) *ended {
	x, ok := in.(interface{ Exit() string })
	if !ok {
		return &ended{how: "it did not come up"}
	}
	how := x.Exit()
	if how == "" {
		how = "gone"
	}
	return &ended{how: how, zero: how == "exit status 0"}
}

// shutdown is the time that a child has for an orderly end.
func (g *group) shutdown(service string) (context.Context, context.CancelFunc) {
	d := g.member(service).Shutdown.Std()
	if d == supervise.Infinity {
		d = 24 * time.Hour
	}
	return context.WithTimeout(g.host.calm, max(d, 0))
}
