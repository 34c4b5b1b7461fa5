package supervise

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// Supervisor starts, watches and restarts children. Make one with [New]. Its methods may be called from any goroutine
// but those of its children's Start, which it waits for; they return ErrNotRunning unless Run is at work.
type Supervisor struct {
	mu    sync.Mutex
	flags Flags
	specs []ChildSpec // that Run begins with
	now   *run        // nil unless Run is at work
}

// New checks flags and specifications, and starts nothing. What is wrong is a *SpecError.
func New(flags Flags, specs ...ChildSpec) (*Supervisor, error) {
	list, err := checkAll(&flags, specs)
	if err != nil {
		return nil, err
	}
	return &Supervisor{flags: flags, specs: list}, nil
}

// Sup is the specification of a supervisor as a child: permanent, and waited for however long it takes to end.
func Sup(id string, s *Supervisor) ChildSpec {
	return ChildSpec{ID: id, Start: Go(s.Run), Kind: IsSupervisor}
}

// Run starts the children in order, calls ready, and supervises until ctx ends, too many restarts were needed, or
// significant children have ended. Then it stops the children in reverse order and returns why: ErrShutdown if ctx was
// merely cancelled. With the cause ErrHandover the children are asked to go on without it. If a child does not start, those
// before it are stopped with ErrAborted and the error is a *StartError. It begins each time with what it was made of, or
// last changed to.
func (s *Supervisor) Run(ctx context.Context, ready func()) error {
	r, err := s.begin()
	if err != nil {
		return err
	}
	defer s.end(r)
	if err := r.startAll(ctx); err != nil {
		r.stopAll(ErrAborted)
		return err
	}
	ready()
	reason := r.supervise(ctx)
	if parting(reason) {
		r.stopAll(reason)
	} else {
		r.stopAll(ErrShutdown)
	}
	return reason
}

func (s *Supervisor) begin() (*run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now != nil {
		return nil, ErrAlreadyStarted
	}
	s.now = &run{
		flags: s.flags, began: time.Now(), byID: map[string]*child{},
		calls: make(chan func()), over: make(chan struct{}), exits: newMailbox(),
	}
	for _, spec := range s.specs {
		s.now.add(&child{spec: spec, state: Terminated})
	}
	return s.now, nil
}

func (s *Supervisor) end(r *run) {
	s.mu.Lock()
	s.now = nil
	s.mu.Unlock()
	close(r.over)
}

// do runs f in the supervisor's goroutine, between two things that it does.
func (s *Supervisor) do(ctx context.Context, f func(r *run)) error {
	s.mu.Lock()
	r := s.now
	s.mu.Unlock()
	if r == nil {
		return ErrNotRunning
	}
	done := make(chan struct{})
	select {
	case r.calls <- func() { f(r); close(done) }:
		<-done
		return nil
	case <-r.over:
		return ErrNotRunning
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run is a supervisor at work. Only its own goroutine touches it, but for the channels and the mailbox.
type run struct {
	flags    Flags
	began    time.Time  // seconds are counted from here
	window   sync.Mutex // of restarts, and of flags while they change: they are read from outside
	restarts []int64    // those within the period, in seconds
	list     []*child   // in the order of starting
	byID     map[string]*child
	made     uint64 // IDs
	orphans  []orphan

	calls chan func()
	over  chan struct{}
	exits *mailbox
	again []*child // to be tried again
	quit  error    // why the supervisor is to end; nil while it goes on
}

// child is one specification and what runs of it.
type child struct {
	spec     ChildSpec
	state    State
	proc     Child // while it runs
	pid      uint64
	started  time.Time
	restarts int
	reason   error // of its last exit or failed start
}

// supervise returns why the supervisor is to end.
func (r *run) supervise(ctx context.Context) error {
	for r.quit == nil {
		select {
		case <-ctx.Done():
			return reasonOf(ctx)
		case call := <-r.calls:
			call()
		case <-r.exits.wake:
			if e, ok := r.exits.next(); ok {
				r.exited(ctx, e)
			}
		case <-r.due():
			c := r.again[0]
			r.again = r.again[1:]
			if c.state == Restarting && r.byID[c.spec.ID] == c {
				r.restart(ctx, c)
			}
		}
	}
	return r.quit
}

// due fires when a start is to be tried again: at once, but in its turn.
func (r *run) due() <-chan struct{} {
	if len(r.again) == 0 {
		return nil
	}
	return fired
}

var fired = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (r *run) report(rep Report) {
	if r.flags.Report != nil {
		r.flags.Report(rep)
	}
}

func (r *run) add(c *child) {
	r.list = append(r.list, c)
	r.byID[c.spec.ID] = c
}

func (r *run) remove(c *child) {
	if r.byID[c.spec.ID] != c {
		return
	}
	delete(r.byID, c.spec.ID)
	for i, other := range r.list {
		if other == c {
			r.list = append(r.list[:i:i], r.list[i+1:]...)
			return
		}
	}
}

// newID is for a child of a dynamic supervisor.
func (r *run) newID() string {
	for {
		r.made++
		if id := strconv.FormatUint(r.made, 10); r.byID[id] == nil {
			return id
		}
	}
}
