package supervise

import (
	"context"
	"errors"
	"runtime/debug"
	"time"
)

var errNoChild = errors.New("start returned neither a child nor an error")

func ignored(err error) bool { return errors.Is(err, ErrIgnore) }

// launch starts a new incarnation of c. Without an error it runs, or has just ended.
func (s *Supervisor) launch(c *child) error {
	c.restarting = false
	if s.life.Err() != nil {
		return context.Cause(s.life)
	}
	inc := &incarnation{of: c}
	ctx, done := context.WithCancel(s.life)
	defer done()
	live, err := s.start(ctx, inc)
	if err != nil {
		return err
	}
	inc.child, inc.born, c.now = live, time.Now(), inc
	if s.template == nil {
		c.spec.forget()
	}
	s.emit(Event{At: inc.born, Kind: ChildStarted, ID: c.id, Restarts: c.restarts})
	return nil
}

func (s *Supervisor) start(ctx context.Context, inc *incarnation) (live Child, err error) {
	defer func() {
		if v := recover(); v != nil {
			live, err = nil, &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	exit := func(reason error) {
		if s.inbox.ended(inc, reason) {
			s.orphans.remove(inc)
		}
	}
	c := inc.of
	if c.spec.Tree != nil {
		return startTree(ctx, build(*c.spec.Tree, under(s.name, c.id), s), exit)
	}
	live, err = c.spec.Start(ctx, c.arg, exit)
	if live == nil && err == nil {
		err = errNoChild
	}
	return live, err
}

// startTree runs a supervisor below another one.
func startTree(ctx context.Context, sup *Supervisor, exit func(error)) (Child, error) {
	up, down := make(chan struct{}), make(chan error, 1)
	go func() {
		reason := sup.Run(context.Background(), func() { close(up) })
		select {
		case <-up:
			exit(reason)
		default:
			down <- reason
		}
	}()
	defer context.AfterFunc(ctx, func() { sup.Stop(ErrShutdown) })()
	select {
	case <-up:
		return sup, nil
	case err := <-down:
		return nil, err
	}
}
