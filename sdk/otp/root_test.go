package otp

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/supervise"
)

// rooted is a version whose supervisors have the logbooks a and b, and what more there is.
func (p *port) rooted(version string, b *Behaviour[logbook], more ...func(n *Node) supervise.ChildSpec) *ship {
	p.t.Helper()
	return p.build(version, Options{Behaviours: []AnyBehaviour{b}, Root: func(n *Node) (*supervise.Supervisor, error) {
		inner, err := supervise.New(supervise.Flags{},
			supervise.ChildSpec{ID: "b", Start: Child(n, b, nil, Named("b")), Shutdown: supervise.BrutalKill})
		if err != nil {
			return nil, err
		}
		specs := []supervise.ChildSpec{{ID: "a", Start: Child(n, b, nil, Named("a"))}, supervise.Sup("inner", inner)}
		for _, f := range more {
			specs = append(specs, f(n))
		}
		return supervise.New(supervise.Flags{}, specs...)
	}})
}

// fails is a wake that does not succeed.
func (s *ship) fails(ctx context.Context) error {
	s.t.Helper()
	if _, err := s.store.Activate(s.t.Context(), nil); err != nil {
		s.t.Fatal(err)
	}
	err := s.Wake(ctx, true)
	if err == nil {
		s.t.Fatal("it wakes")
	}
	if err := s.store.Release(); err != nil {
		s.t.Fatal(err)
	}
	return err
}

// A version whose root starts only half has taken processes over, and must give them back as they were.
func TestRootThatDoesNotStartLosesNoProcess(t *testing.T) {
	hanging := func(*Node) supervise.ChildSpec {
		return supervise.ChildSpec{ID: "hanging", Start: supervise.Go(func(ctx context.Context, _ func()) error {
			<-ctx.Done()
			return context.Cause(ctx)
		})}
	}
	failing := func(*Node) supervise.ChildSpec {
		return supervise.ChildSpec{ID: "failing", Start: func(context.Context) (supervise.Child, error) { return nil, errCrash }}
	}
	for name, last := range map[string]func(*Node) supervise.ChildSpec{"failing": failing, "hanging": hanging} {
		t.Run(name, func(t *testing.T) {
			p, b := newPort(t), logbooks()
			fresh := func(n *Node) supervise.ChildSpec {
				return supervise.ChildSpec{ID: "fresh", Start: Child(n, b, nil, Named("fresh"))}
			}
			v1, v2 := p.rooted("1.0.0", b), p.rooted("2.0.0", b, fresh, last)
			v1.takeOver(nil, false)
			for _, name := range []Name{"a", "b"} {
				is(t, Cast(v1.Node(), name, note{"kept"}), nil)
				reads(t, v1.Node(), name, "kept")
			}
			v1.letGo()
			patience := time.Minute
			if name == "hanging" {
				patience = 100 * time.Millisecond
			}
			err := v2.fails(timeout(patience))
			if name == "failing" && !errors.Is(err, errCrash) || name == "hanging" && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			v1.takeOver(nil, false)
			for _, name := range []Name{"a", "b"} {
				reads(t, v1.Node(), name, "kept")
			}
			if WhereIs(v1.Node(), "fresh") != 0 || v1.Node().Stats().Processes != 2 {
				t.Errorf("%+v, and fresh is %s", v1.Node().Stats(), WhereIs(v1.Node(), "fresh"))
			}
		})
	}
}

// Only supervisors are told that a process goes on without them: the owner of a table has not ended.
func TestFreezeThatIsTakenBackLeavesTables(t *testing.T) {
	p, b := newPort(t), logbooks()
	s := p.rooted("1.0.0", b)
	s.takeOver(nil, false)
	rows := NewTable[string, int](0)
	rows.Put("x", 1)
	n := s.Node()
	a := WhereIs(n, "a")
	is(t, rows.Own(n, a, 0), nil)
	is(t, s.Freeze(t.Context()), nil)
	is(t, s.Thaw(), nil)
	if rows.Len() != 1 || rows.Owner() != a {
		t.Errorf("the table has %d rows and belongs to %s", rows.Len(), rows.Owner())
	}
	is(t, Halt(n, a, nil), nil)
	waitFor(t, func() bool { return rows.Len() == 0 })
}

// A process with an owned table is nobody's child: a supervisor may take it over.
func TestOwnerOfATableIsTakenOver(t *testing.T) {
	p, b := newPort(t), logbooks()
	s := p.launch("1.0.0", Options{Behaviours: []AnyBehaviour{b}})
	pid, err := Start(s.Node(), b, nil, Named("a"))
	is(t, err, nil)
	is(t, NewTable[string, int](0).Own(s.Node(), pid, 0), nil)
	c, err := Child(s.Node(), b, nil, Named("a"))(t.Context())
	if err != nil || PIDOf(c) != pid {
		t.Errorf("%v, %v", PIDOf(c), err)
	}
}

// Rows do not go on in the next version; when the process comes back, those of the time before are no more.
func TestTableOfAProcessThatWentOnElsewhere(t *testing.T) {
	v := newVoyage(t)
	pid, heir := v.start(), v.start()
	rows := NewTable[string, int](0)
	rows.Put("x", 1)
	is(t, rows.Own(v.v1.Node(), pid, heir), nil)
	v.v1.switchTo(v.v2, nil)
	v.v2.switchTo(v.v1, nil)
	waitFor(t, func() bool { return rows.Len() == 0 && rows.Owner() == 0 })
	reads(t, v.v1.Node(), heir)
}
