package lab

import (
	"context"
	"time"

	"github.com/theseusd/theseus/sdk/otp"
	"github.com/theseusd/theseus/sdk/supervise"
)

// processes is a crew of processes of package otp.
type processes struct {
	node  *otp.Node
	kind  *otp.Behaviour[desk]
	bonds *bonds
}

// desk is the state of a worker.
type desk struct{ leaked int }

// question is a request, blow what makes the worker fail.
type (
	question struct{ otp.Reply[int] }
	blow     struct{ fault Fault }
)

func newProcesses() *processes {
	p := &processes{node: otp.New(otp.Options{}), bonds: newBonds()}
	p.kind = &otp.Behaviour[desk]{Name: "worker", Init: p.init}
	otp.OnCall(p.kind, func(_ *otp.Ctx, d *desk, _ question) (int, error) { return d.leaked, nil })
	otp.OnCast(p.kind, p.fail)
	return p
}

func (p *processes) init(_ *otp.Ctx, arg any) (desk, error) {
	b := arg.(birth)
	if b.slow > 0 {
		select {
		case <-time.After(b.slow):
		case <-p.bonds.cut:
		}
	}
	if b.refuse {
		return desk{}, errRefused
	}
	return desk{}, nil
}

func (p *processes) fail(_ *otp.Ctx, d *desk, m blow) error {
	switch m.fault {
	case Exit:
		return otp.Stop(errHurt)
	case Hang:
		p.bonds.hang()
	case Leak:
		p.bonds.leak()
		d.leaked += Leaked
	default:
		panic(errHurt)
	}
	return nil
}

func (p *processes) start(ctx context.Context, b birth) (supervise.Child, hand, error) {
	child, err := otp.Child(p.node, p.kind, b)(ctx)
	if err != nil {
		return nil, nil, err
	}
	return child, clerk{p.node, otp.PIDOf(child)}, nil
}

func (p *processes) abort() { p.bonds.release() }

func (p *processes) close() (Remains, error) {
	orphans := int(p.node.Stats().Orphans)
	leaked := p.bonds.end()
	p.node.Close()
	return Remains{Orphans: orphans, Leaked: leaked}, nil
}

// clerk is one process.
type clerk struct {
	node *otp.Node
	pid  otp.PID
}

func (c clerk) ask(ctx context.Context) (int, error) {
	return otp.Call(c.node.With(ctx), c.pid, question{})
}

func (c clerk) hurt(f Fault) error { return otp.Cast(c.node, c.pid, blow{f}) }
