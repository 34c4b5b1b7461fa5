package sdk

import (
	"context"
	"errors"
	"sync"
)

// tasks are the background functions of the active version. One generation runs at a time: start after a stop that
// ran out of time begins the next when the last task of this one has returned.
type tasks struct {
	run    []func(context.Context) error
	failed func(error)

	mu      sync.Mutex
	current *generation // nil while stopped
}

type generation struct {
	cancel  context.CancelFunc
	stopped bool
	done    chan struct{}
}

func newTasks(run []func(context.Context) error, failed func(error)) *tasks {
	return &tasks{run: run, failed: failed}
}

// start runs all of them; if they run already it does nothing.
func (t *tasks) start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.current
	if before != nil && !before.stopped {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.current = &generation{cancel: cancel, done: make(chan struct{})}
	go t.runAll(ctx, before, t.current.done)
}

func (t *tasks) runAll(ctx context.Context, before *generation, done chan struct{}) {
	defer close(done)
	if before != nil {
		<-before.done
	}
	var all sync.WaitGroup
	for _, f := range t.run {
		all.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				t.failed(err)
			}
		})
	}
	all.Wait()
}

// stop ends them and waits until they have returned, or until ctx ends: then some of them still run.
func (t *tasks) stop(ctx context.Context) error {
	t.mu.Lock()
	current := t.current
	if current != nil {
		current.stopped = true
		current.cancel()
	}
	t.mu.Unlock()
	if current == nil {
		return nil
	}
	select {
	case <-current.done:
		return nil
	case <-ctx.Done():
		return errors.New("sdk: a background task does not end")
	}
}
