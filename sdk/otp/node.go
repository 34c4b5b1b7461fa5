package otp

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/theseusd/theseus/sdk/supervise"
)

// DefaultTimeout of calls whose context has no deadline; OTP's.
const DefaultTimeout = 5 * time.Second

// Node is a world of processes: they find each other by PID and by name. It is a context too, the one of calls from
// outside of any process; it ends with [Node.Close].
type Node struct {
	context.Context
	cancel context.CancelCauseFunc

	procs   table
	names   names
	groups  groups
	born    time.Time
	ahead   atomic.Int64 // of the clock, to when it was born: another version's node was it before
	ending  atomic.Int64 // processes of which others are being told that they have ended
	orphans atomic.Int64 // handlers that run for processes that were killed
	crashes atomic.Uint64
	onCrash func(Crash)

	refs   atomic.Uint64
	phase  phase
	abroad waiting

	// Of a node that is hosted.
	ledger   *ledger // nil if it is not
	id       uint64
	lineage  atomic.Uint64
	wakes    atomic.Uint64 // how often it forgot its processes, as another version has had them since
	keeping  keeping
	loading  loading
	root     root
	lazy     atomic.Bool // processes may wait in the log
	crashed  bool        // of these, only those that persist
	fetching sync.Mutex
	bearing  map[PID][]Name // under fetching: the names of those that persist and have not come yet, after a crash
	reserved reserved
	frozen   []*process // owned
	handover uint64     // under which they were frozen

	mails   sync.Pool // of the node, not of the package: a test's bubble must not leak into another
	pending sync.Pool
}

// Options of a node; the zero value works.
type Options struct {
	// OnCrash is told of each process that ends for another reason than normal and shutdown; it must not block.
	OnCrash func(Crash)

	// Of a node that is hosted: its behaviours, and what makes the supervisor of the first processes, if there is one. It is
	// made and run each time the node wakes up, and ends the service if it fails.
	Behaviours []AnyBehaviour
	Root       func(n *Node) (*supervise.Supervisor, error)
}

// Crash tells of a process that failed.
type Crash struct {
	PID       PID
	Behaviour string
	Reason    error
	Stack     []byte
	Message   any // that was handled; nil if none was
}

// New returns a node without processes.
func New(o Options) *Node {
	n := &Node{born: time.Now(), onCrash: o.OnCrash}
	n.Context, n.cancel = context.WithCancelCause(context.Background())
	n.names.unique = map[Name]PID{}
	n.groups.topics = map[string]*topic{}
	n.mails.New = newMail
	n.pending.New = func() any { return n.newPending() }
	return n
}

// Close kills every process. Calls that another version would have answered end with ErrShutdown.
func (n *Node) Close() {
	n.cancel(ErrShutdown)
	n.abroad.giveUp(ErrShutdown)
	n.procs.each(func(p *process) bool {
		p.end(ErrKilled, nil)
		return true
	})
}

// Stats of a node.
type Stats struct {
	Processes int64  // alive
	Orphans   int64  // handlers that run for a process that was killed
	Crashes   uint64 // since the node began
}

// Stats counts.
func (n *Node) Stats() Stats {
	return Stats{Processes: n.procs.live.Load(), Orphans: n.orphans.Load(), Crashes: n.crashes.Load()}
}

// now is nanoseconds since the node began, by the monotonic clock.
func (n *Node) now() int64 { return int64(time.Since(n.born)) + n.ahead.Load() }

// Scope is from where a message is sent: a *Node, a *Ctx, or either with a context by [Node.With].
type Scope interface {
	context.Context
	node() *Node
	caller() *Ctx // nil outside of processes
}

func (n *Node) node() *Node  { return n }
func (n *Node) caller() *Ctx { return nil }

// With joins a context to the node: its deadline and its end are those of the calls.
func (n *Node) With(ctx context.Context) Scope { return &scoped{ctx, n} }

type scoped struct {
	context.Context
	n *Node
}

func (s *scoped) node() *Node  { return s.n }
func (s *scoped) caller() *Ctx { return nil }
