package supervise

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var errCrash = errors.New("crash")

// world runs one supervisor in a bubble and keeps a diary of what its children did.
type world struct {
	*testing.T
	sup    *Supervisor
	cancel context.CancelCauseFunc
	done   chan error

	mu      sync.Mutex
	diary   []string
	reports []string
	kids    map[string]*kid
}

// kid is how a child of the test behaves.
type kid struct {
	fails    int           // how many of the next starts fail
	ignore   bool          // Start answers ErrIgnore
	slow     time.Duration // to end
	answer   error         // how it ends when asked; the cause if nil
	starts   int
	tell     chan error // ends the one that runs
	startErr error
}

func newWorld(t *testing.T) *world { return &world{T: t, kids: map[string]*kid{}} }

// bubble runs a test in virtual time.
func bubble(t *testing.T, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f(w)
		w.end()
	})
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.diary = append(w.diary, fmt.Sprintf(format, args...))
}

// spec is a child that keeps the diary.
func (w *world) spec(id string, more ...func(*ChildSpec)) ChildSpec {
	k := &kid{tell: make(chan error)}
	w.kids[id] = k
	c := ChildSpec{ID: id, Start: w.start(id, k)}
	for _, f := range more {
		f(&c)
	}
	return c
}

func (w *world) start(id string, k *kid) Start {
	run := Go(func(ctx context.Context, ready func()) error {
		w.note("+%s", id)
		ready()
		for {
			select {
			case err := <-k.tell:
				return err
			case <-ctx.Done():
				time.Sleep(k.slow)
				w.note("-%s", id)
				if k.answer != nil {
					return k.answer
				}
				return context.Cause(ctx)
			}
		}
	})
	return func(ctx context.Context) (Child, error) {
		k.starts++
		switch {
		case k.ignore:
			return nil, ErrIgnore
		case k.fails > 0:
			k.fails--
			w.note("!%s", id)
			if k.startErr != nil {
				return nil, k.startErr
			}
			return nil, errCrash
		}
		return run(ctx)
	}
}

func transient(c *ChildSpec)   { c.Restart = Transient }
func temporary(c *ChildSpec)   { c.Restart = Temporary }
func significant(c *ChildSpec) { c.Significant = true }
func within(d time.Duration) func(*ChildSpec) {
	return func(c *ChildSpec) { c.Shutdown = d }
}

// run starts a supervisor and waits until it is up.
func (w *world) run(f Flags, specs ...ChildSpec) {
	w.Helper()
	if err := w.try(f, specs...); err != nil {
		w.Fatal(err)
	}
}

func (w *world) try(f Flags, specs ...ChildSpec) error {
	w.Helper()
	if f.Report == nil {
		f.Report = func(r Report) {
			if r.Event != Started && r.Event != Stopped {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.reports = append(w.reports, fmt.Sprintf("%s %s", r.Event, r.ID))
			}
		}
	}
	sup, err := New(f, specs...)
	if err != nil {
		return err
	}
	w.sup = sup
	var ctx context.Context
	ctx, w.cancel = context.WithCancelCause(context.Background())
	w.done = make(chan error, 1)
	up := make(chan struct{})
	go func() { w.done <- sup.Run(ctx, func() { close(up) }) }()
	select {
	case <-up:
		return nil
	case err := <-w.done:
		w.done <- err
		return err
	}
}

// end stops the supervisor and lets children that were given up return.
func (w *world) end() {
	if w.cancel != nil {
		w.cancel(nil)
		<-w.done
	}
	time.Sleep(24 * time.Hour) // the orphans return
}

// exit makes a child end by itself, and waits until all is quiet.
func (w *world) exit(id string, reason error) {
	w.Helper()
	w.kids[id].tell <- reason
	synctest.Wait()
}

// ended returns why the supervisor ended by itself; it fails the test if it has not.
func (w *world) ended() error {
	w.Helper()
	synctest.Wait()
	select {
	case err := <-w.done:
		w.done <- err
		return err
	default:
		w.Fatal("the supervisor goes on")
		return nil
	}
}

func (w *world) alive() {
	w.Helper()
	synctest.Wait()
	select {
	case err := <-w.done:
		w.Fatalf("the supervisor has ended: %v", err)
	default:
	}
}

// wrote compares the diary since the last look.
func (w *world) wrote(want string) {
	w.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := strings.Join(w.diary, " "); got != want {
		w.Errorf("what happened: %s\nwant:          %s", got, want)
	}
	w.diary = nil
}

// reported compares the reports since the last look.
func (w *world) reported(want ...string) {
	w.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.reports, want) {
		w.Errorf("reports: %q\nwant:    %q", w.reports, want)
	}
	w.reports = nil
}

// children is "a:running b:terminated".
func (w *world) children(want string) {
	w.Helper()
	list, err := w.sup.Children(context.Background())
	if err != nil {
		w.Fatal(err)
	}
	var got []string
	for _, c := range list {
		got = append(got, c.Spec.ID+":"+c.State.String())
	}
	if text := strings.Join(got, " "); text != want {
		w.Errorf("children: %s\nwant:     %s", text, want)
	}
}

func (w *world) is(err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Errorf("got %v, want %v", err, want)
	}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}
