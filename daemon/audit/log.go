package audit

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// Kinds of events that no journal has.
const (
	Crashed       = "crashed"        // a service died
	Restarted     = "restarted"      // it serves again
	Stopped       = "stopped"        // it was ended for the sake of another one, or its supervisor has with a significant child
	Failed        = "failed"         // its supervisor has given up: too many restarts did not help, or it did not come up
	DaemonStarted = "daemon_started" // a first one, or one in the place of another
	DaemonStopped = "daemon_stopped" // in order
	Lost          = "lost"           // lines are missing here

	DaemonReplacing   = "daemon_replacing"    // another one is to take over
	DaemonReplaced    = "daemon_replaced"     // it has
	DaemonNotReplaced = "daemon_not_replaced" // it has not, or not for long: the program from before is in charge
)

// Limits of a Log.
const (
	DefaultSize = 16 << 20        // bytes of a file
	files       = 4               // that are kept, with the one that is written
	maxQueue    = 1000            // events that wait for the disk
	maxOwn      = 1000            // events that Events remembers besides the journal's
	retry       = 5 * time.Second // after the disk has refused
	maxBatch    = 256             // lines that are written at once
	closeWait   = 2 * time.Second // for the last lines
)

// Journal is what the log follows; *upgrades.Engine is one.
type Journal interface {
	// Since lists the events with higher numbers, in their order.
	Since(seq uint64) []control.Event
}

// Options of a Log. Path is required.
type Options struct {
	Path   string
	Size   int64        // of one file; DefaultSize if 0
	Logger *slog.Logger // nothing is logged if nil
}

// Log is the audit log. Its methods may be called from any goroutine.
type Log struct {
	log  *slog.Logger
	file *file
	wake chan struct{}
	quit chan struct{}
	done chan struct{}
	once sync.Once

	mu      sync.Mutex // of all below; never held over a call to the disk
	journal Journal
	sieve   sieve
	own     []control.Event // what the journal does not have, oldest first
	dropped int             // of own, since Open
	queue   []control.Event // of own, not written yet
	lost    uint64          // dropped from the queue
	changed chan struct{}   // closed at the next event
}

// Open reads what is there and mends it. A log that cannot be read or written is an empty one that is tried again. Call
// Run to have it written.
func Open(o Options) *Log {
	if o.Size == 0 {
		o.Size = DefaultSize
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{
		log: o.Logger, file: newFile(o.Path, o.Size), wake: make(chan struct{}, 1), quit: make(chan struct{}),
		done: make(chan struct{}), changed: make(chan struct{}), sieve: sieve{},
	}
	own, err := l.file.scan()
	if err != nil {
		l.log.Error("the audit log cannot be read", "path", o.Path, "error", err)
	}
	l.own = own[max(len(own)-maxOwn, 0):]
	return l
}

// Note adds an event that no journal has. Its time is now unless it says another.
func (l *Log) Note(e control.Event) {
	e.Seq = 0
	if e.Time.IsZero() {
		e.Time = time.Now().UTC()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.sieve.pass(&e) {
		return
	}
	if l.own = append(l.own, e); len(l.own) > maxOwn {
		l.own, l.dropped = slices.Delete(l.own, 0, 1), l.dropped+1
	}
	if l.queue = append(l.queue, e); len(l.queue) > maxQueue {
		l.queue, l.lost = slices.Delete(l.queue, 0, 1), l.lost+1
	}
	l.news()
}

// Wake says that the journal has more.
func (l *Log) Wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.news()
}

// news tells the writer and those who follow. The caller holds mu.
func (l *Log) news() {
	close(l.changed)
	l.changed = make(chan struct{})
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Mark is how far somebody has read. The zero Mark is the beginning.
type Mark struct {
	seq uint64
	own int
}

// Events lists what has happened after a mark, oldest first, and returns the next mark. changed is closed when there is
// more. Of what the journal does not have, the last thousand events are remembered.
func (l *Log) Events(after Mark) (list []control.Event, next Mark, changed <-chan struct{}) {
	l.mu.Lock()
	journal, changed := l.journal, l.changed // before the journal is asked, so that nothing goes unnoticed
	own := slices.Clone(l.own[min(max(after.own-l.dropped, 0), len(l.own)):])
	next = Mark{seq: after.seq, own: l.dropped + len(l.own)}
	l.mu.Unlock()
	if journal != nil {
		list = journal.Since(after.seq)
	}
	if n := len(list); n > 0 {
		next.seq = list[n-1].Seq
	}
	return merge(list, own), next, changed
}

// Own lists what the journal does not have, oldest first.
func (l *Log) Own() []control.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.own)
}

// merge orders by time and keeps the order of each list.
func merge(a, b []control.Event) []control.Event {
	list := make([]control.Event, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if b[0].Time.Before(a[0].Time) {
			list, b = append(list, b[0]), b[1:]
		} else {
			list, a = append(list, a[0]), a[1:]
		}
	}
	return append(append(list, a...), b...)
}

// Run writes until Close. It is called once.
func (l *Log) Run(j Journal) {
	defer close(l.done)
	l.mu.Lock()
	l.journal = j
	l.mu.Unlock()
	w := &writer{Log: l, journal: j}
	for {
		again := w.write()
		select {
		case <-l.quit:
			w.write()
			return
		case <-l.wake:
		case <-again:
		}
	}
}

// Close has the last lines written and ends Run. It does not wait long for a disk that hangs.
func (l *Log) Close() {
	l.once.Do(func() { close(l.quit) })
	ctx, stop := context.WithTimeout(context.Background(), closeWait)
	defer stop()
	select {
	case <-l.done:
	case <-ctx.Done():
		l.log.Error("the audit log is left with lines unwritten: its disk does not answer")
	}
}
