package supervise

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
)

var errGoexit = errors.New("the goroutine ended itself with runtime.Goexit")

// goroutine is a function that runs. It can be asked to end, by its context, and not be killed.
type goroutine struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
}

func (g *goroutine) Stop(reason error) { g.cancel(reason) }

func (g *goroutine) Kill() bool {
	g.cancel(ErrKilled)
	return false
}

// Func supervises a function that is ready at once. Its context ends when it is asked to stop, with the reason as the
// cause; what it returns is the reason it ended with, and nil is normal. After it was asked, nil and
// context.Canceled stand for the reason it was asked with. A panic is a *PanicError. The context carries no values.
func Func(f func(ctx context.Context) error) Start {
	return FuncWith(func(ctx context.Context, _ any) error { return f(ctx) })
}

// FuncWith is Func for what StartDynamic is given. An argument of another type is an error of the start.
func FuncWith[A any](f func(ctx context.Context, arg A) error) Start {
	return func(_ context.Context, arg any, exit func(error)) (Child, error) {
		a, err := argument[A](arg)
		if err != nil {
			return nil, err
		}
		g := newGoroutine()
		go g.run(func(ctx context.Context) error { return f(ctx, a) }, exit)
		return g, nil
	}
}

// Run supervises a function that says when it is ready. An error before that is a failed start, ErrIgnore included;
// returning nil before that is a normal end. A function that is still not ready when its supervisor is told to stop
// counts as started, so that it is stopped in its turn.
func Run(f func(ctx context.Context, ready func()) error) Start {
	return RunWith(func(ctx context.Context, _ any, ready func()) error { return f(ctx, ready) })
}

// RunWith is Run for what StartDynamic is given. An argument of another type is an error of the start.
func RunWith[A any](f func(ctx context.Context, arg A, ready func()) error) Start {
	return func(ctx context.Context, arg any, exit func(error)) (Child, error) {
		a, err := argument[A](arg)
		if err != nil {
			return nil, err
		}
		g, boot := newGoroutine(), newBoot()
		go g.run(func(ctx context.Context) error { return f(ctx, a, boot.ready) }, func(reason error) {
			boot.over(reason, exit)
		})
		return g, boot.wait(ctx)
	}
}

func argument[A any](arg any) (A, error) {
	a, ok := arg.(A)
	if !ok && arg != nil {
		return a, fmt.Errorf("the argument is a %T, want %T", arg, a)
	}
	return a, nil
}

func newGoroutine() *goroutine {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &goroutine{ctx: ctx, cancel: cancel}
}

// run tells over the reason that f ends with, also if f never returns to it.
func (g *goroutine) run(f func(context.Context) error, over func(error)) {
	reason := errGoexit
	defer func() {
		g.cancel(nil)
		over(reason)
	}()
	reason = g.reason(protect(g.ctx, f))
}

// reason is what g was asked to end with, if that is all that f meant to say.
func (g *goroutine) reason(err error) error {
	if g.ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		return context.Cause(g.ctx)
	}
	return err
}

func protect(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f(ctx)
}

// boot is the time between the start of a goroutine and its being ready.
type boot struct {
	settled atomic.Bool
	result  chan error // how the start went
}

func newBoot() *boot { return &boot{result: make(chan error, 1)} }

func (b *boot) settle(err error) bool {
	first := !b.settled.Swap(true)
	if first {
		b.result <- err
	}
	return first
}

func (b *boot) ready() { b.settle(nil) }

// over is told the reason the goroutine ended with: the error of a start that was not settled, else an exit.
func (b *boot) over(reason error, exit func(error)) {
	if reason != nil && b.settle(reason) {
		return
	}
	b.settle(nil)
	exit(reason)
}

func (b *boot) wait(ctx context.Context) error {
	select {
	case err := <-b.result:
		return err
	case <-ctx.Done():
	}
	b.settle(nil)
	return <-b.result
}
