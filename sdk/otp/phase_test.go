package otp

import (
	"testing"
	"time"
)

// Whoever asks about names and topics inside of a handler must not wait for a halt that waits for the handler.
func TestHandlersMayUseNamesAndTopicsWhileTheNodeHalts(t *testing.T) {
	halting, done := make(chan struct{}), make(chan struct{})
	v := newVoyage(t, func(b *Behaviour[logbook]) {
		OnCast(b, func(c *Ctx, s *logbook, _ add) error {
			close(halting)
			waitFor(t, c.Node().halted)
			err := Register(c, "x", c.Self())
			Unregister(c, "y")
			c.Join("topic")
			if err != nil || WhereIs(c, "x") != c.Self() || WhereIs(c, "y") != 0 || len(Members(c, "topic")) != 1 {
				s.Lines = append(s.Lines, "wrong")
			}
			close(done)
			return nil
		})
	})
	pid := v.start(Named("y"))
	is(t, Cast(v.v1.Node(), pid, add{}), nil)
	<-halting
	if err := v.v1.Freeze(v.v1.Node().With(timeout(5 * time.Second))); err != nil {
		t.Fatal(err)
	}
	<-done
	is(t, v.v1.store.Release(), nil)
	v.v2.takeOver(nil, false)
	n := v.v2.Node()
	reads(t, n, Name("x"))
	if WhereIs(n, "y") != 0 || len(Members(n, "topic")) != 1 {
		t.Errorf("y is %s, members %v", WhereIs(n, "y"), Members(n, "topic"))
	}
}

// A node that sleeps makes no processes: they are another version's, whoever asks, and also when it is closed.
func TestSleepingNodeMakesNoProcesses(t *testing.T) {
	v := newVoyage(t, func(b *Behaviour[logbook]) {
		b.Restore = func(c *Ctx, s *logbook) error { s.Lines = append(s.Lines, c.Node().ledger.version); return nil }
	})
	a, b := v.start(Named("a")), v.start(Named("b"))
	_, err := Call(v.v1.Node(), a, watch{PID: b, Link: true})
	is(t, err, nil)
	v.v1.switchTo(v.v2, nil)
	n := v.v2.Node()
	<-n.loading.done
	reads(t, n, a, "2.0.0") // b stays in the log
	is(t, v.v2.Freeze(t.Context()), nil)
	if got := WhereIs(n, "b"); got != 0 {
		t.Errorf("b is %s", got)
	}
	v.v2.Close() // a is linked with b
	if n.procs.get(b) != nil {
		t.Error("b has come to life")
	}
}

// Who waits for the members of a topic does not wait for ever.
func TestMembersDoNotOutlastTheNode(t *testing.T) {
	v := newVoyage(t)
	n := v.v1.n
	<-n.loading.done
	n.loading.done = make(chan struct{}) // as if the log took long
	n.lazy.Store(true)
	done := make(chan struct{})
	go func() {
		defer close(done)
		Members(n.With(timeout(10*time.Millisecond)), "topic")
		Members(n, "topic")
	}()
	time.AfterFunc(50*time.Millisecond, v.v1.Close)
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Error("it waits")
	}
}

// A timer that is due in the very instant in which a halt ends comes: it has seen the halt, and the halt has not seen it.
func TestTimerThatIsDueAsAHaltEnds(t *testing.T) {
	v := newVoyage(t)
	pid := v.start()
	n := v.v1.n
	<-n.loading.done
	p := n.procs.get(pid)
	id := p.after(time.Hour, note{"due"})
	var due *timer
	p.with(func(m *more) { due = m.timers[id] })
	n.phase.set(halting)
	n.phase.set(awake)
	if n.postpone(due) {
		t.Error("it waits for a halt that has ended")
	}
	n.phase.set(halting)
	due.fire() // postponed
	if len(n.phase.late) != 1 || !p.in.empty() {
		t.Errorf("%d timers are late", len(n.phase.late))
	}
	n.goOn()
	comes(t, n, pid, "due")
}

// A timer of a process that another version has had since, and that is not taken apart yet, must not bring it back: its
// rows are those of the process that is here now.
func TestTimerOfAProcessThatWasForgotten(t *testing.T) {
	v := newVoyage(t)
	pid := v.start()
	old := v.v1.n.procs.get(pid)
	id := old.after(time.Hour, note{"stale"})
	var due *timer
	old.with(func(m *more) { due = m.timers[id] })
	v.v1.switchTo(v.v2, nil)
	v.v2.switchTo(v.v1, nil)
	waitFor(t, old.ended.Load)
	old.mu.Lock()
	old.more = &more{timers: map[Timer]*timer{id: due}}
	old.ended.Store(false) // as before that
	old.mu.Unlock()
	due.fire()
	if !old.in.empty() {
		t.Error("it has mail")
	}
	old.ended.Store(true)
	v.v1.switchTo(v.v2, nil)
	reads(t, v.v2.Node(), pid)
}
