package otp

import (
	"context"
	"sync/atomic"
	"time"
)

// Ctx is a process's own hand, valid inside of its handlers. As a context it ends when the process is killed; it has no
// deadline. Calls that are made with it come from this process.
type Ctx struct {
	p       *process
	ctx     context.Context       // once somebody has asked for it
	to      reply                 // of what is being handled
	calling atomic.Pointer[reply] // what the handler waits for, if it calls
	spares  spares
	depth   int // of handlers that run on this goroutine
}

var (
	_ Scope = (*Ctx)(nil)
	_ Scope = (*Node)(nil)
)

func (c *Ctx) node() *Node  { return c.p.n }
func (c *Ctx) caller() *Ctx { return c }

// Self is the process.
func (c *Ctx) Self() PID { return c.p.pid }

// Node is where the process lives.
func (c *Ctx) Node() *Node { return c.p.n }

// With gives calls the deadline of another context. They still come from this process.
func (c *Ctx) With(ctx context.Context) Scope { return &within{ctx, c} }

type within struct {
	context.Context
	c *Ctx
}

func (w *within) node() *Node  { return w.c.p.n }
func (w *within) caller() *Ctx { return w.c }

// Deadline is none.
func (c *Ctx) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value has nothing but what package context keeps for itself, such as the cause of the end.
func (c *Ctx) Value(key any) any { return c.context().Value(key) }

// Done is closed when the process has ended.
func (c *Ctx) Done() <-chan struct{} { return c.context().Done() }

// Err is nil while the process lives.
func (c *Ctx) Err() error { return c.context().Err() }

var over = func() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(ErrNoProc)
	return ctx
}()

// context is made when somebody asks for it; few processes need one.
func (c *Ctx) context() context.Context {
	if c.ctx != nil {
		return c.ctx
	}
	c.ctx = over // unless it lives
	c.p.with(func(m *more) {
		if m.ctx == nil {
			m.ctx, m.cancel = context.WithCancelCause(context.Background())
		}
		c.ctx = m.ctx
	})
	return c.ctx
}
