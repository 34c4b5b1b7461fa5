package otp

import (
	"fmt"
	"reflect"
	"sync"

	"github.com/theseusd/theseus/sdk/state"
)

// DefaultMailbox is how many messages wait for a process at most.
const DefaultMailbox = 10_000

// Unbounded as [Behaviour].Mailbox: nothing is refused. OTP's mailboxes are like that.
const Unbounded = -1

// Reply makes a message a request that is answered by R: embed it.
type Reply[R any] struct{}

// AnsweredBy says what answers the request.
func (Reply[R]) AnsweredBy(R) {}

// Request is met by messages that embed Reply[R].
type Request[R any] interface{ AnsweredBy(R) }

// Behaviour is one kind of process with the state S, as a callback module of gen_server. Handlers are added with
// [OnCall], [OnDefer], [OnCast] and [OnInfo] before the first process is started. A handler steers its process by the
// error that it returns: [Stop], [Continue], [IdleTimeout].
type Behaviour[S any] struct {
	Name      string
	Init      func(c *Ctx, arg any) (S, error)        // the zero S if nil; ErrIgnore is no failure
	Terminate func(c *Ctx, s *S, reason error)        // also after a crash; for exits from outside only with TrapExit
	Change    func(c *Ctx, old, extra any) (S, error) // code_change; see ChangeCode
	Mailbox   int                                     // DefaultMailbox if 0
	TrapExit  bool                                    // exits of linked processes are messages: see Exited

	// Inline promises that no handler waits for anything or takes long. A call to a process that is idle is then handled in the
	// goroutine of its caller, which costs a fraction of a change of goroutines. All else stays as it is, but for one thing:
	// while the handler runs, the caller can neither return at its deadline nor be told that the process was killed. And a
	// runtime.Goexit ends the caller's goroutine along with the process: Go has no way to keep it.
	Inline bool

	// What follows is for nodes that are hosted: see Host.
	State   state.Schema[S]          // how the state reaches another version; its name is that of the behaviour
	Restore func(c *Ctx, s *S) error // before the first message to a process that has come from another version
	Persist bool                     // the state is in the log before each answer, and survives a crash

	kind *kind
}

// kind is a behaviour without its type.
type kind struct {
	sealed    sync.Once
	name      string
	bound     int32 // 0 for none
	trap      bool
	inline    bool
	init      func(c *Ctx, arg any) (any, error) // a *S
	terminate func(c *Ctx, state any, reason error)
	change    func(c *Ctx, state, extra any) (any, error)
	handlers  map[uintptr]handler                    // by typeID
	info      func(c *Ctx, state, message any) error // nil if none
	restore   func(c *Ctx, state any) error
	persist   bool
	messages  map[reflect.Type]message
}

// handler handles one type of messages; to is where an answer goes, if there is anybody who waits.
type handler func(c *Ctx, state any, message any, to reply) error

// of has the handlers; what else there is to know is read by seal.
func (b *Behaviour[S]) of() *kind {
	if b.kind == nil {
		b.kind = &kind{handlers: map[uintptr]handler{}}
	}
	return b.kind
}

// seal makes the kind whole when the first process is started. Nothing of the behaviour may change after it.
func (b *Behaviour[S]) seal() *kind {
	k := b.of()
	k.sealed.Do(func() { b.fill(k) })
	return k
}

func (b *Behaviour[S]) fill(k *kind) {
	k.name, k.bound, k.trap, k.persist = b.Name, int32(b.Mailbox), b.TrapExit, b.Persist
	k.inline = b.Inline
	switch {
	case b.Mailbox == 0:
		k.bound = DefaultMailbox
	case b.Mailbox < 0:
		k.bound = 0
	}
	k.init = func(c *Ctx, arg any) (any, error) {
		s := new(S)
		if b.Init == nil {
			return s, nil
		}
		var err error
		*s, err = b.Init(c, arg)
		return s, err
	}
	if b.Terminate != nil {
		k.terminate = func(c *Ctx, state any, reason error) { b.Terminate(c, state.(*S), reason) }
	}
	if b.Restore != nil {
		k.restore = func(c *Ctx, state any) error { return b.Restore(c, state.(*S)) }
	}
	if b.Change != nil {
		k.change = func(c *Ctx, state, extra any) (any, error) {
			s, err := b.Change(c, reflect.ValueOf(state).Elem().Interface(), extra)
			return &s, err
		}
	}
}

// typeID is quicker to look up than the type; that of nil is 0.
func typeID(t reflect.Type) uintptr {
	if t == nil {
		return 0
	}
	return reflect.ValueOf(t).Pointer()
}

func handle[M any](k *kind, h handler) {
	t := reflect.TypeFor[M]()
	id := typeID(t)
	if k.handlers[id] != nil {
		panic(fmt.Sprintf("otp: %s handles %s twice", k.name, t))
	}
	k.handlers[id] = h
	k.knows(messageOf[M](""), false)
}

// OnCall handles requests of type M. The answer goes to the caller; an error that does not steer the process does too.
func OnCall[S any, M Request[R], R any](b *Behaviour[S], h func(c *Ctx, s *S, m M) (R, error)) {
	handle[M](b.of(), func(c *Ctx, state, message any, to reply) error {
		r, err := h(c, state.(*S), message.(M))
		if serr := c.save(); serr != nil {
			return Stop(serr)
		}
		if steers(err) {
			to.answer(r, nil)
			return err
		}
		to.answer(r, err)
		return nil
	})
}

// OnDefer handles requests of type M whose answer is given later, through From, by whoever has it.
func OnDefer[S any, M Request[R], R any](b *Behaviour[S], h func(c *Ctx, s *S, m M, from From[R]) error) {
	handle[M](b.of(), func(c *Ctx, state, message any, to reply) error {
		c.p.owes(to)
		err := h(c, state.(*S), message.(M), From[R]{to})
		if serr := c.save(); serr != nil {
			return Stop(serr)
		}
		if err != nil && !steers(err) {
			to.answer(nil, err)
			return nil
		}
		return err
	})
}

// OnCast handles messages of type M that nobody waits for. An error that does not steer the process ends it.
func OnCast[S, M any](b *Behaviour[S], h func(c *Ctx, s *S, m M) error) {
	handle[M](b.of(), func(c *Ctx, state, message any, _ reply) error {
		return c.saved(h(c, state.(*S), message.(M)))
	})
}

// OnInfo handles what has no handler of its own: Down, Exited, Idle, timers and casts of other types.
func OnInfo[S any](b *Behaviour[S], h func(c *Ctx, s *S, m any) error) {
	b.of().info = func(c *Ctx, state, message any) error { return c.saved(h(c, state.(*S), message)) }
}

// steers is true for errors that are a word to the process and not to its caller.
func steers(err error) bool {
	switch err.(type) {
	case *stopping, *idling, *going:
		return true
	default:
		return false
	}
}

// saved is what a handler has returned, unless the state could not be kept.
func (c *Ctx) saved(err error) error {
	if serr := c.save(); serr != nil {
		return Stop(serr)
	}
	return orStop(err)
}

func orStop(err error) error {
	if err == nil || steers(err) {
		return err
	}
	return Stop(err)
}
