package otp

import (
	"context"
	"fmt"
	"runtime/debug"
)

// Event is a message that a traced process begins to handle.
type Event struct {
	PID     PID
	Message any
}

// Info is what can be seen of a process from outside.
type Info struct {
	PID       PID
	Behaviour string
	Suspended bool
	Mailbox   int // messages that wait
	Handled   uint64
	Names     []Name
	Links     []PID
}

// Suspend lets a process finish what it is handling and then nothing but system messages. Twice is no error.
func Suspend[A Addr](s Scope, to A) error {
	return sys(s, to, func(c *Ctx) error { c.p.paused = true; return nil })
}

// Resume ends a suspension. Twice is no error.
func Resume[A Addr](s Scope, to A) error {
	return sys(s, to, func(c *Ctx) error { c.p.paused = false; return nil })
}

// GetState returns the state of a process, as its S.
func GetState[S any, A Addr](s Scope, to A) (state S, err error) {
	err = sys(s, to, func(c *Ctx) error {
		own, ok := c.p.state.(*S)
		if !ok {
			return fmt.Errorf("otp: the state of %s is a %T, not a %T", c.p.pid, c.p.state, own)
		}
		state = *own
		return nil
	})
	return state, err
}

// ReplaceState puts what f makes of the state in its place. If f panics or fails, or the new state of a process that
// persists cannot be written, the state stays.
func ReplaceState[S any, A Addr](s Scope, to A, f func(S) (S, error)) error {
	return sys(s, to, func(c *Ctx) error {
		own, ok := c.p.state.(*S)
		if !ok {
			return fmt.Errorf("otp: the state of %s is a %T, not a %T", c.p.pid, c.p.state, own)
		}
		next, err := f(*own)
		if err != nil {
			return err
		}
		before := *own
		*own = next
		if err = c.save(); err != nil {
			*own = before
		}
		return err
	})
}

// ChangeCode makes a suspended process one of another behaviour, whose Change turns the old state into the new one. If
// that fails, the process stays what it was, suspended. A hosted node takes only its own behaviours.
func ChangeCode[S any, A Addr](s Scope, to A, b *Behaviour[S], extra any) error {
	k := b.seal()
	if err := s.node().hosts(k); err != nil {
		return err
	}
	return sys(s, to, func(c *Ctx) error {
		switch {
		case !c.p.paused:
			return ErrSuspended
		case k.change == nil:
			return fmt.Errorf("otp: behaviour %s has no Change", k.name)
		}
		state, err := k.change(c, c.p.state, extra)
		if err != nil {
			return err
		}
		return c.become(k, state)
	})
}

// become makes the process one of another behaviour, in the log too.
func (c *Ctx) become(k *kind, state any) error {
	p, kind, before, flags := c.p, c.p.kind(), c.p.state, c.p.flags.Load()
	p.of.Store(k)
	p.state = state
	moved := kind != k && flags&rowed != 0
	if moved {
		p.flags.And(^rowed)
	}
	if err := c.save(); err != nil {
		p.of.Store(kind)
		p.state = before
		p.flags.Or(flags & rowed)
		if p.ended.Load() {
			p.n.erase(p) // whoever ended it meanwhile has not seen the row
		}
		return err
	}
	if moved {
		return p.n.ledger.byKind[kind].rows.remove(p.pid.key())
	}
	return nil
}

// Trace calls f for each message that the process begins to handle, in its own goroutine; nil ends that.
func Trace[A Addr](s Scope, to A, f func(Event)) error {
	return sys(s, to, func(c *Ctx) error { c.p.trace = f; return nil })
}

// Inspect looks at a process.
func Inspect[A Addr](s Scope, to A) (info Info, err error) {
	err = sys(s, to, func(c *Ctx) error {
		p := c.p
		info = Info{
			PID: p.pid, Behaviour: p.kind().name, Suspended: p.paused, Mailbox: int(p.held.Load()), Handled: p.handled,
		}
		p.with(func(m *more) {
			info.Names = append(info.Names, m.names...)
			for pid := range m.links {
				info.Links = append(info.Links, pid)
			}
		})
		return nil
	})
	return info, err
}

// Halt ends a process in order, as gen_server:stop: Terminate runs, and it returns when the process is gone.
func Halt[A Addr](s Scope, to A, reason error) error {
	reason = orNormal(reason)
	var gone chan struct{}
	err := sys(s, to, func(c *Ctx) error {
		gone = make(chan struct{})
		c.p.watch(watcher{tell: func(error) { close(gone) }})
		c.p.terminate(c, reason)
		c.p.end(reason, nil)
		return nil
	})
	if err == nil {
		<-gone
	}
	return err
}

// sys has a process do something between two messages, suspended or not, and waits for it. A panic of f is its error.
func sys[A Addr](s Scope, to A, f func(c *Ctx) error) error {
	g, err := s.node().enter(s)
	if err != nil {
		return err
	}
	p := to.resolve(s.node())
	if p == nil {
		g.leave()
		return &Exit{Reason: ErrNoProc}
	}
	if c := s.caller(); c != nil && c.p == p {
		g.leave()
		return ErrCallSelf
	}
	ctx := context.Context(s)
	if _, ok := s.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(s, DefaultTimeout)
		defer cancel()
	}
	done := make(chan error, 1)
	p.signal(func(c *Ctx) {
		err := error(&Exit{PID: p.pid, Reason: ErrNoProc})
		defer func() { done <- err }()
		if c != nil {
			err = &Exit{PID: p.pid, Reason: ErrGoexit} // unless f returns
			err = guarded(c, f)
		}
	})
	g.leave()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func guarded(c *Ctx, f func(c *Ctx) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f(c)
}
