package supervise

import (
	"context"
	"time"
)

// Stats are the figures of one supervisor.
type Stats struct {
	Flags    Flags
	Started  time.Time
	Restarts int // all that were counted
	InPeriod int // those that still count
	Orphans  int // in the whole tree it belongs to
}

// Stats says how the supervisor does.
func (s *Supervisor) Stats(ctx context.Context) (Stats, error) {
	return ask(ctx, s, func() (Stats, error) {
		return Stats{
			Flags: s.flags, Started: s.born, Restarts: s.total,
			InPeriod: s.window.count(s.seconds(), s.period()), Orphans: len(s.Orphans()),
		}, nil
	})
}

// Node is a child in a tree, or the top of one.
type Node struct {
	Info
	Stats    *Stats // supervisors that run
	Children []Node // in start order
}

// Tree shows the supervisor and all below it that were made from a Tree. It asks one after the other, so what changes
// meanwhile may be seen half; a nested supervisor that has just ended is shown without children.
func (s *Supervisor) Tree(ctx context.Context) (Node, error) {
	top := Node{Info: Info{ID: s.name, State: Running, Type: TypeSupervisor, Child: s}}
	stats, err := s.Stats(ctx)
	if err != nil {
		return top, err
	}
	top.Stats, top.Started = &stats, stats.Started
	kids, err := s.Children(ctx)
	if err != nil {
		return top, err
	}
	for i := len(kids) - 1; i >= 0; i-- {
		top.Children = append(top.Children, nodeOf(ctx, kids[i]))
	}
	return top, context.Cause(ctx)
}

func nodeOf(ctx context.Context, i Info) Node {
	nested, ok := i.Child.(*Supervisor)
	if !ok {
		return Node{Info: i}
	}
	below, _ := nested.Tree(ctx) // what it could not say any more is left out
	below.Info = i
	return below
}
