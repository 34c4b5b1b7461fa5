package host

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/theseusd/theseus/daemon/internal/proc"
	"github.com/theseusd/theseus/upgrades"
)

// pulse asks a process every second whether it is there. One call at a time: an answer counts however late it comes. What is counted
// are seconds in which this daemon has looked, so that one that was stopped itself does not judge others by that.
type pulse struct {
	ask  func(ctx context.Context) error
	heed func(err error) // nil for an answer; else every second, as long as there is none
}

// run asks until the process is gone or ctx ends.
func (p pulse) run(ctx context.Context, gone <-chan struct{}) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	answer := make(chan error, 1)
	for asking := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-gone:
			return
		case err := <-answer:
			asking = false
			p.heed(err)
		case <-tick.C:
			if asking {
				p.heed(errSilent)
				continue
			}
			asking = true
			go func() { answer <- p.ask(ctx) }()
		}
	}
}

// mortal is a process that can be killed for a reason. hang does not block, and returns false if the process is to live all the same.
type mortal interface{ hang(why string) bool }

// pulse is told whether a process has answered. One that serves, and gives no answer for as long as its liveness says, is killed;
// its supervisor sees a death like any other. While the service is taken, or its supervisor stops it, nobody is judged here.
func (s *service) pulse(in upgrades.Instance, answered bool) {
	why, killed := s.judge(in, answered)
	switch {
	case killed:
		s.host.log.Error("a process that hangs was killed", "service", s.name, "process", in.ID(), "because", why)
	case why != "":
		s.host.log.Warn("a process that gives no answer is left alone, as somebody traces it", "service", s.name, "process", in.ID())
	}
}

// judge kills before anybody can take the service.
func (s *service) judge(in upgrades.Instance, answered bool) (why string, killed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serving != in {
		return "", false
	}
	s.still++
	if answered || s.taken || s.halted || s.moving || s.child == nil {
		s.still = 0
		return "", false
	}
	limit := s.child.group.member(s.name).Liveness.Std()
	if limit == 0 || s.still < int(limit/pingEvery) {
		return "", false
	}
	s.still = 0
	why = fmt.Sprintf("hung: it gave no answer for %s and was killed", limit)
	return why, in.(mortal).hang(why) //nolint:forcetypeassert // all that have a pulse are
}

// hang kills the process, and has its end told by the reason. One that a debugger holds is left to that.
func (in *instance) hang(why string) bool {
	if proc.Traced(in.record.PID) {
		return false
	}
	in.mu.Lock()
	in.hung = why
	in.mu.Unlock()
	_ = in.handle.Signal(syscall.SIGKILL) // to one that is gone it means nothing
	return true
}
