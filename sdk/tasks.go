package sdk

import (
	"context"
	"errors"
	"sync"
)

// tasks are the background functions of the active version. One generation of a task runs at a time: start after
// a stop that ran out of time begins each task again when it has returned.
type tasks struct {
	run    []func(context.Context) error
	failed func(error)

	mu      sync.Mutex
	current *generation // nil while stopped
}

type generation struct {
	cancel  context.CancelFunc
	stopped bool
	done    chan struct{}   // closed when all have returned
	ended   []chan struct{} // likewise, one for each task
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
	for range t.run {
		t.current.ended = append(t.current.ended, make(chan struct{}))
	}
	go t.runAll(ctx, before, t.current)
}

// runAll begins each task when the one of the generation before has returned; a task that hangs keeps only itself.
func (t *tasks) runAll(ctx context.Context, before, g *generation) {
	defer close(g.done)
	var all sync.WaitGroup
	for i, f := range t.run {
		all.Go(func() {
			defer close(g.ended[i])
			if before != nil {
				<-before.ended[i]
			}
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
	case <-ctx.Done():
	}
	if !current.over() {
		return errors.New("sdk: a background task does not end")
	}
	return nil
}

// over is true when all of them have returned, however late it is.
func (g *generation) over() bool {
	select {
	case <-g.done:
		return true
	default:
		return false
	}
}
