package otp

import (
	"context"
	"errors"
	"strconv"
	"testing"
)

// Places of processes that ended before a switch are taken again after it, and not those that a process in the log has.
func TestFreePlacesAreFoundAfterASwitch(t *testing.T) {
	v := newVoyage(t)
	list := []PID{v.start(), v.start(), v.start()}
	SendExit(v.v1.Node(), list[1], ErrKilled)
	v.v1.switchTo(v.v2, nil)
	n := v.v2.Node()
	var next PID
	waitFor(t, func() bool {
		pid, err := Start(n, v.b, nil)
		next = pid
		if err != nil || pid.slot() == list[1].slot() {
			return true
		}
		return false
	})
	if next.slot() != list[1].slot() || next.generation() <= list[1].generation() {
		t.Errorf("the place of %s was not taken again: %s", list[1], next)
	}
	for _, pid := range []PID{list[0], list[2]} {
		reads(t, n, pid)
	}
}

// A freeze that is taken back cuts the search for free places short, and it goes on.
func TestFreePlacesAreFoundAfterAFreezeThatFails(t *testing.T) {
	p := newPort(t)
	var o Options
	for i := range 100 { // the search rests before each table
		o.Behaviours = append(o.Behaviours, logbooks(func(b *Behaviour[logbook]) { b.Name += strconv.Itoa(i) }))
	}
	b := o.Behaviours[0].(*Behaviour[logbook])
	v1, v2 := p.launch("1.0.0", o), p.build("2.0.0", o)
	var list [3]PID
	for i := range list {
		var err error
		list[i], err = Start(v1.Node(), b, nil)
		is(t, err, nil)
	}
	SendExit(v1.Node(), list[1], ErrKilled)
	v1.switchTo(v2, nil)
	failed := errors.New("it does not come to rest")
	stopRoot := func(context.Context) error { return nil }
	still := func(context.Context) ([]*process, error) { return nil, failed }
	is(t, v2.sleep(t.Context(), stopRoot, still), failed)
	waitFor(t, func() bool {
		pid, err := Start(v2.Node(), b, nil)
		is(t, err, nil)
		return pid.slot() == list[1].slot()
	})
}

// A timer of a process that another version has had since does not fire, before the process is let go of either.
func TestTimerOfAForgottenProcess(t *testing.T) {
	v := newVoyage(t)
	pid := v.start()
	n := v.v1.Node()
	if _, err := Call(n, pid, set{For: 1 << 40}); err != nil {
		t.Fatal(err)
	}
	old := n.procs.get(pid)
	kept := *old.more
	v.v1.switchTo(v.v2, nil)
	v.v2.switchTo(v.v1, nil)
	old.mu.Lock()
	old.more = &kept
	old.mu.Unlock()
	for id, timer := range kept.timers {
		if timer.spend() {
			t.Errorf("timer %d of the process that is forgotten fired", id)
		}
	}
	reads(t, n, pid)
}
