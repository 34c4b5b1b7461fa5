package supervise

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// startAll starts every child in order, up to the first that does not come up.
func (r *run) startAll(ctx context.Context) error {
	if c, err := r.startList(ctx, r.list); err != nil {
		return &StartError{ID: c.spec.ID, Err: err}
	}
	return nil
}

// startList starts children in order, and returns the one that did not come up.
func (r *run) startList(ctx context.Context, list []*child) (*child, error) {
	for _, c := range list {
		if ctx.Err() != nil {
			return c, reasonOf(ctx)
		}
		if err := r.start(ctx, c); err != nil {
			return c, err
		}
	}
	return nil, nil
}

// start starts one child. One that has nothing to run is terminated, which is no error; a temporary one of these
// vanishes.
func (r *run) start(ctx context.Context, c *child) error {
	began := time.Now()
	proc, err := call(ctx, c.spec.Start)
	switch {
	case errors.Is(err, ErrIgnore):
		c.state, c.reason = Terminated, ErrIgnore
		if c.spec.Restart == Temporary || r.flags.Strategy == Dynamic {
			r.remove(c)
		}
		return nil
	case err != nil:
		c.reason = err
		r.report(Report{Event: StartFailed, ID: c.spec.ID, Reason: err, Took: time.Since(began)})
		return err
	}
	c.pid++
	c.proc, c.state, c.started, c.reason = proc, Running, time.Now(), nil
	pid := c.pid
	r.report(Report{Event: Started, ID: c.spec.ID, Took: time.Since(began)})
	proc.Watch(func(reason error) { r.exits.put(exit{child: c, pid: pid, reason: reason}) })
	return nil
}

// call is start with a panic as an error.
func call(ctx context.Context, start Start) (proc Child, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	proc, err = start(ctx)
	if err == nil && proc == nil {
		err = fmt.Errorf("supervise: its Start returned no child")
	}
	return proc, err
}
