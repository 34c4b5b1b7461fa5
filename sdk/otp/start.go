package otp

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/theseusd/theseus/sdk/supervise"
)

// Option of [Start] and [Child].
type Option func(*starting)

type starting struct {
	name Name
	link bool
}

// Named registers the process before Init runs, as {local, Name} does.
func Named(name Name) Option { return func(s *starting) { s.name = name } }

// Linked links the process to the one that starts it, as start_link does.
func Linked() Option { return func(s *starting) { s.link = true } }

// Start starts a process and returns when its Init has. Errors are what Init returned, ErrIgnore among them, a
// *PanicError, and ErrTaken for a name that another process has. A hosted node takes only its own behaviours.
func Start[S any](s Scope, b *Behaviour[S], arg any, options ...Option) (PID, error) {
	p, err := start(s, b.seal(), arg, options)
	if err != nil {
		return 0, err
	}
	return p.pid, nil
}

func start(s Scope, k *kind, arg any, options []Option) (*process, error) {
	var o starting
	for _, option := range options {
		option(&o)
	}
	n := s.node()
	if n.Err() != nil {
		return nil, closedBy(n)
	}
	if err := n.hosts(k); err != nil {
		return nil, err
	}
	p, err := n.newcomer(s, k, &o)
	if err != nil {
		return nil, err
	}
	c := &Ctx{p: p}
	if err = p.begin(c, arg); err == nil {
		err = c.save()
	}
	if err != nil {
		p.end(err, nil)
		return nil, err
	}
	g := n.gate() // as rest
	defer g.leave()
	p.yield()
	return p, nil
}

// newcomer is a process before its Init. It is busy and listed, so a freeze waits for it like for any other that runs.
func (n *Node) newcomer(s Scope, k *kind, o *starting) (*process, error) {
	g, err := n.enter(s)
	if err != nil {
		return nil, err
	}
	defer g.leave()
	p := newProcess(n, k)
	p.word.Store(busy) // mail waits for Init
	if err := n.procs.add(p); err != nil {
		return nil, err
	}
	p.touch()
	if err := p.introduce(s, o); err != nil {
		p.end(err, nil)
		return nil, err
	}
	return p, nil
}

func (p *process) introduce(s Scope, o *starting) error {
	n := p.n
	if n.Err() != nil { // Close may not have seen it
		return closedBy(n)
	}
	if err := n.reserve(p.pid); err != nil {
		return err
	}
	if o.name != "" {
		if err := n.register(o.name, p); err != nil {
			return err
		}
	}
	if by := s.caller(); o.link && by != nil {
		by.p.link(p)
	}
	return nil
}

func closedBy(n *Node) error { return fmt.Errorf("otp: the node is closed: %w", context.Cause(n)) }

// hosts refuses a behaviour that could not go on in another version.
func (n *Node) hosts(k *kind) error {
	if n.ledger == nil || n.ledger.byKind[k] != nil {
		return nil
	}
	return fmt.Errorf("otp: the behaviour %s is not in Options.Behaviours of the node", k.name)
}

// begin is Init.
func (p *process) begin(c *Ctx, arg any) (err error) {
	returned := false
	defer func() {
		switch v := recover(); {
		case v != nil:
			err = &PanicError{Value: v, Stack: debug.Stack()}
		case !returned:
			p.end(ErrGoexit, debug.Stack()) // with the goroutine of whoever starts it
		}
	}()
	p.state, err = p.kind().init(c, arg)
	returned = true
	return err
}

// Child makes a process the child of a supervisor. Its PID is in the child: see [PIDOf]. In a hosted node it needs a
// name, for by that it is found when it is there already: it has come from another version, or from before a crash.
func Child[S any](n *Node, b *Behaviour[S], arg any, options ...Option) supervise.Start {
	return func(context.Context) (supervise.Child, error) {
		if n.ledger != nil {
			p, err := n.unsupervised(b.seal(), options)
			if p != nil || err != nil {
				return &child{p: p, found: true}, err
			}
		}
		p, err := start(n, b.seal(), arg, options)
		if err != nil {
			return nil, err
		}
		return &child{p: p}, nil
	}
}

// PIDOf is the process of a child that [Child] started, 0 for any other.
func PIDOf(c supervise.Child) PID {
	if own, ok := c.(*child); ok {
		return own.p.pid
	}
	return 0
}

// child is a process in the eyes of its supervisor.
type child struct {
	p     *process
	found bool // it was there before its supervisor
}

var _ supervise.Child = (*child)(nil)

func (c *child) Watch(f func(reason error)) { c.p.watch(watcher{tell: f, parent: true}) }
func (c *child) Kill()                      { c.p.kill() }

func (c *child) Shutdown(reason error) {
	if c.mayGoOn(reason) {
		c.p.release(reason)
		return
	}
	c.p.shutdown(orNormal(reason))
}

// mayGoOn is true if only the supervisor goes.
func (c *child) mayGoOn(reason error) bool {
	if errors.Is(reason, supervise.ErrHandover) {
		return c.p.n.ledger != nil
	}
	return c.found && errors.Is(reason, supervise.ErrAborted)
}

// release has the process go on without its supervisors.
func (p *process) release(reason error) {
	var told []watcher
	p.with(func(m *more) {
		m.watchers = slices.DeleteFunc(m.watchers, func(w watcher) bool {
			if w.parent {
				told = append(told, w)
			}
			return w.parent
		})
	})
	for _, w := range told {
		w.tell(reason)
	}
}

// unsupervised is the process that a child would be, if it is there and has no supervisor.
func (n *Node) unsupervised(k *kind, options []Option) (*process, error) {
	var o starting
	for _, option := range options {
		option(&o)
	}
	if o.name == "" {
		return nil, fmt.Errorf("otp: a supervised process of behaviour %s needs a name: by that the next version finds it", k.name)
	}
	g, err := n.enter(n)
	if err != nil {
		return nil, err
	}
	defer g.leave()
	p := o.name.resolve(n)
	if p == nil || p.kind() != k {
		return nil, nil
	}
	supervised := false
	p.with(func(m *more) {
		supervised = slices.ContainsFunc(m.watchers, func(w watcher) bool { return w.parent })
	})
	if supervised {
		return nil, nil
	}
	return p, nil
}
