package supervise

import "time"

// stopBackwards stops what runs of the children, the last first, one by one. Temporary children are forgotten.
func (s *Supervisor) stopBackwards(all []*child) {
	for i := len(all) - 1; i >= 0; i-- {
		s.stopChild(all[i])
		if all[i].spec.Restart == Temporary {
			s.kids.remove(all[i])
		}
	}
}

// stopChild ends the child's incarnation, or the attempts to start one.
func (s *Supervisor) stopChild(c *child) {
	c.restarting = false
	if c.now != nil {
		s.stopTogether([]*child{c}, c.spec.Shutdown)
	}
}

// stopAll is for the end: in reverse start order, or all at once where the order has no meaning.
func (s *Supervisor) stopAll() {
	all := s.kids.from(s.kids.first)
	if s.template == nil {
		s.stopBackwards(all)
		return
	}
	running := all[:0]
	for _, c := range all {
		if c.now != nil {
			running = append(running, c)
		}
	}
	s.stopTogether(running, s.template.Shutdown)
}

// stopTogether asks all of them at once, which must be running, and gives them one time to end.
func (s *Supervisor) stopTogether(all []*child, shutdown time.Duration) {
	runs := make([]*incarnation, len(all))
	for i, c := range all {
		runs[i] = c.now
	}
	s.halt(runs, shutdown)
	for _, c := range all {
		s.stopped(c)
	}
}

// stopped notes the end of a child that was told to, or that it is an orphan now.
func (s *Supervisor) stopped(c *child) {
	_, reason := s.inbox.outcome(c.now)
	orphan := c.now.orphan
	c.now = nil
	e := Event{Kind: ChildStopped, ID: c.id, Reason: reason, Restarts: c.restarts}
	switch {
	case orphan:
		e.Kind, e.Reason, e.Report = ChildOrphaned, ErrKilled, true
	case stopIsReported(c.spec, reason):
		e.Kind, e.Report = ChildStopFailed, true
	}
	s.emit(e)
}

// halt returns when each of the incarnations has ended or is an orphan.
func (s *Supervisor) halt(runs []*incarnation, shutdown time.Duration) {
	w := s.inbox.watchFor(runs)
	if shutdown != BrutalKill {
		for _, inc := range runs {
			inc.child.Stop(ErrShutdown)
		}
		if s.await(w, shutdown) {
			return
		}
	}
	for _, inc := range runs {
		s.killOne(inc)
	}
	<-w.done
}

// await says whether all ended before the time was over, and before the supervisor was killed.
func (s *Supervisor) await(w *watch, shutdown time.Duration) bool {
	var late <-chan time.Time
	if shutdown != Infinity {
		timer := time.NewTimer(shutdown)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-w.done:
		return true
	case <-late:
	case <-s.killed:
	}
	return false
}

func (s *Supervisor) killOne(inc *incarnation) {
	if over, _ := s.inbox.outcome(inc); over || inc.child.Kill() {
		return
	}
	// Listed first: it may end at any moment, and whoever ends it strikes it off.
	s.orphans.add(inc, Orphan{Supervisor: s.name, ID: inc.of.id, Started: inc.born, Since: time.Now()})
	if !s.inbox.abandon(inc) {
		s.orphans.remove(inc)
	}
}
