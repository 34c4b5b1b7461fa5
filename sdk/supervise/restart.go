package supervise

// childEnded applies the rules to a child that ended by itself. Those that were stopped, replaced or given up in the
// meantime are no longer the child's current incarnation.
func (s *Supervisor) childEnded(inc *incarnation, reason error) error {
	c := inc.of
	if c.now != inc {
		if inc.orphan {
			s.emit(Event{Kind: OrphanEnded, ID: c.id, Reason: reason})
		}
		return nil
	}
	c.now = nil
	s.emit(Event{
		Kind: ChildTerminated, ID: c.id, Reason: reason, Restarts: c.restarts,
		Report: endIsReported(c.spec.Restart, reason),
	})
	if restartDue(c.spec.Restart, reason) {
		return s.restart(c, reason)
	}
	s.retire(c)
	return s.autoShutdown(c)
}

// retire leaves a child stopped, or forgets it where there is nothing to start it by again.
func (s *Supervisor) retire(c *child) {
	c.restarting = false
	if s.template != nil || c.spec.Restart == Temporary {
		s.kids.remove(c)
	}
}

// restart counts, and either restarts or says that this was one too many.
func (s *Supervisor) restart(c *child, reason error) error {
	if !s.window.add(s.seconds(), s.period(), s.flags.most()) {
		return s.giveUp(c, reason)
	}
	c.restarts++
	s.total++
	switch s.flags.Strategy {
	case OneForAll:
		s.restartFrom(s.kids.first)
	case RestForOne:
		s.restartFrom(c)
	case OneForOne, SimpleOneForOne:
		s.restartAlone(c)
	}
	return nil
}

func (s *Supervisor) giveUp(c *child, reason error) error {
	why := &ShutdownError{Detail: &IntensityError{
		Supervisor: s.name, ID: c.id, Intensity: s.flags.most(), Period: s.flags.Period, Reason: reason,
	}}
	s.retire(c)
	s.emit(Event{Kind: TooManyRestarts, ID: c.id, Reason: why, Restarts: c.restarts, Report: true})
	return why
}

func (s *Supervisor) restartAlone(c *child) {
	switch err := s.launch(c); {
	case err == nil:
	case !ignored(err):
		s.retry(c, err)
	case s.template != nil:
		s.kids.remove(c)
	}
}

// restartFrom restarts first and all after it. If one does not start, those before it stay up and it is tried again.
func (s *Supervisor) restartFrom(first *child) {
	affected := s.kids.from(first)
	s.stopBackwards(affected)
	for _, c := range affected {
		if c.spec.Restart == Temporary {
			continue // ended and forgotten above
		}
		if err := s.launch(c); err != nil && !ignored(err) {
			s.retry(c, err)
			return
		}
	}
}

// retry has another attempt made after what is in the mailbox, so that callers are heard in between.
func (s *Supervisor) retry(c *child, err error) {
	if s.life.Err() != nil {
		return // not the child's fault, and there will be no other attempt
	}
	c.restarting = true
	s.emit(Event{Kind: ChildStartFailed, ID: c.id, Reason: err, Restarts: c.restarts, Report: true})
	s.inbox.put(message{do: func() error {
		if !c.restarting {
			return nil // terminated, deleted, or taken along by a sibling's restart
		}
		return s.restart(c, err)
	}})
}

// autoShutdown says whether the end of c, which is not restarted, is the end of the supervisor.
func (s *Supervisor) autoShutdown(c *child) error {
	if !c.spec.Significant || s.flags.AutoShutdown == NeverShutdown {
		return nil
	}
	if s.flags.AutoShutdown == AllSignificant && s.significantLive() {
		return nil
	}
	why := &ShutdownError{Detail: &SignificantError{Supervisor: s.name, ID: c.id, AutoShutdown: s.flags.AutoShutdown}}
	s.emit(Event{Kind: AutoShutdownDue, ID: c.id, Reason: why})
	return why
}

func (s *Supervisor) significantLive() bool {
	for c := s.kids.first; c != nil; c = c.next {
		if c.spec.Significant && c.state() != Stopped {
			return true
		}
	}
	return false
}
