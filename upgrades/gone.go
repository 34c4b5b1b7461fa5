package upgrades

import (
	"context"
	"time"

	"github.com/theseusd/theseus/sdk/describe"
	"github.com/theseusd/theseus/upgrades/release"
)

// Gone stands for a process of p that does not live: every call answers ErrGone. Giving it to a [Host] makes the
// host start p and restart it until it serves.
func Gone(p release.Package) Instance {
	done := make(chan struct{})
	close(done)
	return &gone{pkg: p, done: done}
}

type gone struct {
	pkg  release.Package
	done chan struct{}
}

var _ Instance = (*gone)(nil)

func (g *gone) ID() string                 { return "" }
func (g *gone) Package() release.Package   { return g.pkg }
func (g *gone) Describe() describe.Service { return g.pkg.Describe }
func (g *gone) Done() <-chan struct{}      { return g.done }

func (g *gone) Status(context.Context) (Status, error) { return Status{}, ErrGone }
func (g *gone) Health(context.Context) error           { return ErrGone }
func (g *gone) Pair(context.Context, Instance) error   { return ErrGone }
func (g *gone) Settle(context.Context) error           { return ErrGone }
func (g *gone) Stop(context.Context) error             { return nil }
func (g *gone) Release(context.Context, time.Duration, bool) (Released, error) {
	return Released{}, ErrGone
}

func (g *gone) Rehearse(context.Context, map[string]int32, func(Progress)) (Rehearsal, error) {
	return Rehearsal{}, ErrGone
}

func (g *gone) Shadow(context.Context, map[string]int32, bool, func(Progress)) error { return ErrGone }

func (g *gone) Activate(context.Context, map[string]int32, bool) (Activated, error) {
	return Activated{}, ErrGone
}
