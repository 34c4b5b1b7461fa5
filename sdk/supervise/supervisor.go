package supervise

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Supervisor starts its children, watches them, restarts them as its Flags say and stops them. It is a Child itself.
type Supervisor struct {
	name    string
	parent  *Supervisor
	hook    func(Event)
	orphans *orphanage
	inbox   *mailbox

	life   context.Context // ends when the supervisor is told to; its cause is the reason
	end    context.CancelCauseFunc
	killed chan struct{}
	kill   func()
	ran    atomic.Bool
	gone   chan struct{} // closed when Run returns

	// Owned by the goroutine in Run.
	flags    Flags
	boot     []ChildSpec
	template *ChildSpec // SimpleOneForOne
	issued   int        // dynamic children so far; the last one's id
	kids     children
	window   window
	total    int
	born     time.Time
}

var _ Child = (*Supervisor)(nil)

// New makes a supervisor of a spec without a fault, or says what is wrong with it. Nothing runs before Run.
func New(spec Spec) (*Supervisor, error) {
	if err := spec.Check(); err != nil {
		return nil, err
	}
	return build(spec, spec.Name, nil), nil
}

func build(spec Spec, name string, parent *Supervisor) *Supervisor {
	killed := make(chan struct{})
	s := &Supervisor{
		name: name, parent: parent, hook: spec.Events, inbox: newMailbox(),
		killed: killed, kill: sync.OnceFunc(func() { close(killed) }), gone: make(chan struct{}),
		kids: children{byID: map[string]*child{}},
	}
	s.life, s.end = context.WithCancelCause(context.Background())
	s.orphans = newOrphanage()
	if parent != nil {
		s.orphans = parent.orphans
	}
	s.adopt(spec)
	return s
}

func (s *Supervisor) adopt(spec Spec) {
	s.flags = spec.Flags.withDefaults()
	if s.flags.Strategy == SimpleOneForOne {
		template := spec.Children[0].withDefaults()
		s.template = &template
		return
	}
	s.boot = spec.Children
}

// Name is the supervisor's own, below those of its parents.
func (s *Supervisor) Name() string { return s.name }

// Run starts the children and calls ready, then restarts them as the Flags say. It returns when no child runs any
// more, orphans excepted, with the reason: a *StartError if a child did not start, in which case ready is not called;
// a *ShutdownError if the supervisor gave up or a significant child ended; else what Stop was given or the cause of
// ctx. It can be called once.
func (s *Supervisor) Run(ctx context.Context, ready func()) error {
	if s.ran.Swap(true) {
		return ErrRunTwice
	}
	defer context.AfterFunc(ctx, func() { s.Stop(context.Cause(ctx)) })()
	defer s.end(ErrShutdown) // also frees the context
	defer close(s.gone)
	s.born = time.Now()
	reason := s.begin()
	if reason == nil {
		ready()
		reason = s.serve()
	}
	s.finish(reason)
	return reason
}

// Stop tells the supervisor to stop its children and to return reason from Run; nil is ErrShutdown. It does not wait.
func (s *Supervisor) Stop(reason error) {
	if reason == nil {
		reason = ErrShutdown
	}
	s.end(reason)
}

// Kill has the supervisor kill its children instead of asking them, and return ErrKilled.
func (s *Supervisor) Kill() bool {
	s.end(ErrKilled)
	s.kill()
	return true
}

// begin starts the children of the spec in order, until one fails.
func (s *Supervisor) begin() error {
	for _, spec := range s.boot {
		spec = spec.withDefaults()
		c := &child{id: spec.ID, spec: &spec}
		if err := s.launch(c); err != nil && !ignored(err) {
			if s.life.Err() != nil {
				return context.Cause(s.life)
			}
			s.emit(Event{Kind: ChildStartFailed, ID: c.id, Reason: err, Report: true})
			return &StartError{Supervisor: s.name, ID: c.id, Err: err}
		}
		s.keep(c)
	}
	s.boot = nil
	s.emit(Event{Kind: SupervisorUp})
	return nil
}

// keep lists a child that was started, unless there is nothing of it to keep: a temporary child that ignored its start.
func (s *Supervisor) keep(c *child) {
	if c.now != nil || c.spec.Restart != Temporary {
		s.kids.add(c)
	}
}

// serve handles what comes, in order, until there is a reason to end.
func (s *Supervisor) serve() error {
	var batch []message
	for {
		select {
		case <-s.life.Done():
			return context.Cause(s.life)
		case <-s.inbox.wake:
		}
		batch = s.inbox.drain(batch)
		if reason := s.handle(batch); reason != nil {
			return reason
		}
	}
}

func (s *Supervisor) handle(batch []message) error {
	for _, m := range batch {
		if s.life.Err() != nil {
			return context.Cause(s.life)
		}
		if reason := s.handleOne(m); reason != nil {
			return reason
		}
	}
	return nil
}

func (s *Supervisor) handleOne(m message) error {
	if m.do != nil {
		return m.do()
	}
	return s.childEnded(m.ended, m.reason)
}

func (s *Supervisor) finish(reason error) {
	s.stopAll()
	s.inbox.close()
	s.emit(Event{Kind: SupervisorDown, Reason: reason, Report: causeOf(reason) == causeCrash})
}

// seconds is OTP's unit of counting. The grid begins with the supervisor.
func (s *Supervisor) seconds() int64 { return int64(time.Since(s.born) / time.Second) }

func (s *Supervisor) period() int64 { return int64(s.flags.Period / time.Second) }

// nextID names a dynamic child: 1, 2, 3 and so on.
func (s *Supervisor) nextID() string {
	s.issued++
	return strconv.Itoa(s.issued)
}
