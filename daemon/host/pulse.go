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

// mortal is a process that can be killed for a reason.
type mortal interface{ hang(why string) }

// pulse is told whether a process has answered. One that serves, and gives no answer for as long as its liveness says, is killed;
// its supervisor sees a death like any other. While the service is taken, or its supervisor stops it, nobody is judged here.
func (s *service) pulse(in upgrades.Instance, answered bool) {
	if why := s.judge(in, answered); why != "" {
		in.(mortal).hang(why) //nolint:forcetypeassert // all that have a pulse are
	}
}

func (s *service) judge(in upgrades.Instance, answered bool) (why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serving != in {
		return ""
	}
	s.still++
	if answered || s.taken || s.halted || s.moving || s.child == nil {
		s.still = 0
		return ""
	}
	limit := s.child.group.member(s.name).Liveness.Std()
	if limit == 0 || s.still < int(limit/pingEvery) {
		return ""
	}
	s.still = 0
	return fmt.Sprintf("hung: it gave no answer for %s and was killed", limit)
}

// hang kills the process, and has its end told by the reason. One that a debugger holds is left to that.
func (in *instance) hang(why string) {
	if proc.Traced(in.record.PID) {
		in.host.log.Warn("a process that gives no answer is left alone, as somebody traces it", "service", in.pkg.Name, "pid", in.record.PID)
		return
	}
	in.mu.Lock()
	in.hung = why
	in.mu.Unlock()
	in.host.log.Error("killing a process that hangs", "service", in.pkg.Name, "pid", in.record.PID, "because", why)
	_ = in.handle.Signal(syscall.SIGKILL) // to one that is gone it means nothing
}
