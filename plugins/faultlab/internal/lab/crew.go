package lab

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/theseusd/theseus/sdk/supervise"
)

// crew makes the workers of one level.
type crew interface {
	// start brings up one worker, and returns it as its supervisor sees it and as the lab does.
	start(ctx context.Context, b birth) (supervise.Child, hand, error)
	// abort lets everything end at once: the run was given up.
	abort()
	// close is called once when the supervisor has ended. It tells what of the workers is still there, lets go of it,
	// and returns when it is gone.
	close() (Remains, error)
}

// hand is how the lab reaches one incarnation of a worker.
type hand interface {
	// ask sends a request, which a worker that is well answers: with the number of goroutines that it has leaked.
	ask(ctx context.Context) (leaked int, err error)
	// hurt does to the worker what makes it fail.
	hurt(f Fault) error
}

// birth is how a worker comes up.
type birth struct {
	slow   time.Duration
	refuse bool
}

var (
	errHurt    = errors.New("it gave up on purpose")
	errRefused = errors.New("it does not start, on purpose")
)

// Remains is what outlives the workers, because Go cannot end it.
type Remains struct {
	Orphans int `json:"orphans"` // handlers or goroutines that hang
	Leaked  int `json:"leaked"`  // goroutines that workers have started and forgotten
}

// worker is one place in the tree, whoever fills it.
type worker struct {
	name string

	mu       sync.Mutex
	child    supervise.Child
	hand     hand
	slow     time.Duration // of the next birth
	refusals int           // so many of the next births fail
}

// begin is the Start of a worker.
func (w *worker) begin(c crew) supervise.Start {
	return func(ctx context.Context) (supervise.Child, error) {
		child, hand, err := c.start(ctx, w.nextBirth())
		if err != nil {
			return nil, err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.child, w.hand = child, hand
		return child, nil
	}
}

func (w *worker) nextBirth() birth {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := birth{slow: w.slow, refuse: w.refusals > 0}
	w.slow = 0
	w.refusals = max(w.refusals-1, 0)
	return b
}

// now is the incarnation that runs.
func (w *worker) now() (supervise.Child, hand) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.child, w.hand
}

// prepare has the next births go as the fault wants.
func (w *worker) prepare(f Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch f {
	case SlowStart:
		w.slow = SlowFor
	case StartError:
		w.refusals = Refusals
	}
}

// bonds are what keeps handlers and goroutines that never end by themselves, until the lab lets go of them.
type bonds struct {
	cut  chan struct{}
	once sync.Once
	held sync.WaitGroup

	mu     sync.Mutex
	over   bool // nothing is held any more
	leaked int
}

func newBonds() *bonds { return &bonds{cut: make(chan struct{})} }

// take counts n that are held from now on; false says that it is too late for it.
func (b *bonds) take(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		b.held.Add(n)
	}
	return !b.over
}

// hang returns when the bonds are cut.
func (b *bonds) hang() {
	if b.take(1) {
		defer b.held.Done()
		<-b.cut
	}
}

// leak starts goroutines that nobody ends.
func (b *bonds) leak() {
	if !b.take(Leaked) {
		return
	}
	for range Leaked {
		go func() {
			defer b.held.Done()
			<-b.cut
		}()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leaked += Leaked
}

func (b *bonds) release() { b.once.Do(func() { close(b.cut) }) }

// end cuts the bonds, returns when all that hung has come back, and tells how many goroutines were leaked.
func (b *bonds) end() (leaked int) {
	b.release()
	b.mu.Lock()
	b.over = true
	leaked = b.leaked
	b.mu.Unlock()
	b.held.Wait()
	return leaked
}

// pause waits, unless the context ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
