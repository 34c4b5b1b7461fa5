package serve

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultLimit bounds what a switch waits for from the paired process.
const DefaultLimit = time.Second

// Options of a Group. The zero value works.
type Options struct {
	Logger *slog.Logger  // slog.Default if nil
	Limit  time.Duration // how long Finish and Arm wait for the paired process; DefaultLimit if 0
}

// A Group is all listeners of one process and the connections that came through them. Its methods may be called from
// any goroutine; switches (Arm, Park, Finish, Hangup, Unpair) take their turns.
type Group struct {
	log   *slog.Logger
	limit time.Duration
	meter Meter

	turn sync.Mutex // held by one switch at a time

	parking atomic.Pointer[chan struct{}] // closed while parking

	mu        sync.Mutex // guards what follows; taken before a connection's own lock
	phase     phase
	doors     map[string]*door
	links     map[*link]struct{}    // every connection known here, whoever serves it
	live      map[liveConn]struct{} // those that this process serves, by a goroutine or by events
	pair      *pair                 // nil: alone
	park      *park                 // of the phase parked
	idle      *idleSet              // connections without a goroutine
	worded    map[*link]struct{}    // those of them that have unread or unsent bytes
	early     map[*link]struct{}    // those whose handler wants them before they speak
	strangers map[*link]struct{}    // those of listeners that are not here
	events    *eventSet             // the sockets of connections with events; nil: no listener has any
	senders   senders               // of connections with events; locked by itself
	leaving   *leaving              // what was handed over; nil at first
	armed     uint64                // how often
	wanted    uint64                // pairs asked for and left: a peer that comes for an earlier one is too late
	grace     *time.Timer           // after a failed Finish
}

// phase is what the process does with its listeners and connections.
type phase int

const (
	standby phase = iota // serves nobody
	serving
	parked // serves nobody for the moment; all is as it was
)

// NewGroup makes a group without listeners that serves nobody yet.
func NewGroup(o Options) *Group {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Limit == 0 {
		o.Limit = DefaultLimit
	}
	g := &Group{
		log: o.Logger, limit: o.Limit,
		doors: map[string]*door{}, links: map[*link]struct{}{}, live: map[liveConn]struct{}{}, worded: map[*link]struct{}{}, early: map[*link]struct{}{}, strangers: map[*link]struct{}{},
		idle: newIdleSet(),
	}
	g.reopenParking()
	return g
}

// HTTP serves srv on a TCP or unix listener from Arm on. srv is as its author made it, with its handler, time limits
// and hooks; its ConnState and ConnContext are chained, its Handler is metered, and the net.Conn they see is a wrapper. With a TLSConfig that
// has certificates the listener speaks TLS, and its connections cannot be handed over. HTTP panics on another kind of
// listener and on a name used twice.
func (g *Group) HTTP(name string, ln net.Listener, srv *http.Server) {
	d := g.addDoor(name, ln)
	d.http = newHTTPDoor(d, srv)
}

// Stream serves each connection of a TCP or unix listener with handle, in a goroutine of its own, from Arm on. It
// panics on another kind of listener and on a name used twice.
func (g *Group) Stream(name string, ln net.Listener, handle func(*Conn)) {
	g.addDoor(name, ln).handle = handle
}

// StreamEarly is Stream for a handler that has something to say to clients that do not speak: see Early.
func (g *Group) StreamEarly(name string, ln net.Listener, handle func(*Conn), early Early) {
	d := g.addDoor(name, ln)
	d.handle, d.early, d.wanted = handle, early, early.Wanted
}

// Events is Stream for connections that need no goroutine once handle has called [Conn.ToEvents].
func (g *Group) Events(name string, ln net.Listener, handle func(*Conn), events Events) {
	d := g.addDoor(name, ln)
	d.handle, d.events, d.wanted = handle, events, events.Wanted
	if g.events == nil {
		g.events = newEventSet(g.log)
	}
}

func (g *Group) addDoor(name string, ln net.Listener) *door {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.doors[name]; ok || len(name) > maxName {
		panic(fmt.Sprintf("serve: listener name %q is taken or too long", name))
	}
	d := newDoor(g, name, ln)
	g.doors[name] = d
	return d
}

// Also accepts connections at another listener for the door of that name, until Only: for an address that a service had
// before or has elsewhere. A connection is the same wherever it came in. A name that is not known is an error.
func (g *Group) Also(name string, ln net.Listener) error {
	g.turn.Lock()
	defer g.turn.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.doors[name]
	if d == nil {
		return fmt.Errorf("serve: there is no listener %q", name)
	}
	p := newPort(name, ln)
	if d.also = append(d.also, p); g.phase == serving {
		d.startAt(p)
	}
	return nil
}

// Only closes the listeners that Also has added. Connections that came in there stay. A group that serves has nobody connect there
// any more, in any process, and serves who has: no connection is reset because its listener closes.
func (g *Group) Only() {
	g.turn.Lock()
	defer g.turn.Unlock()
	g.mu.Lock()
	doors, serves := g.doors, g.phase == serving
	g.mu.Unlock()
	if serves {
		shutAll(doors)
	}
	limited, cancel := context.WithTimeout(context.Background(), g.limit)
	defer cancel()
	for _, d := range doors {
		for _, p := range d.also {
			if p.stop(limited.Done()) && serves {
				d.takeRest(p)
			}
			_ = p.ln.Close()
		}
		d.also = nil
	}
}

// shutAll returns when nobody is about to connect any more at what Also has added.
func shutAll(doors map[string]*door) {
	shut := false
	for _, d := range doors {
		for _, p := range d.also {
			p.shut()
			shut = true
		}
	}
	if shut {
		<-time.After(shutTime)
	}
}

// Connections counts the established connections: those served here, and those that the paired process serves and
// whose descriptors are here.
func (g *Group) Connections() (served, ahead int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.phase == standby {
		return 0, len(g.links)
	}
	return len(g.links), 0
}

// Parking is closed once the version that serves the request or connection of ctx is about to hand over: a stream or
// a long poll that watches it can end at once and let the switch be short. A group that goes on after all has a new
// channel. It is nil, which blocks for ever, for any other context.
func Parking(ctx context.Context) <-chan struct{} {
	g, _ := ctx.Value(groupKey{}).(*Group)
	if g == nil {
		return nil
	}
	return g.parkingNow()
}

type groupKey struct{}

func (g *Group) parkingNow() <-chan struct{} { return *g.parking.Load() }

// reopenParking begins a time without a park.
func (g *Group) reopenParking() {
	c := make(chan struct{})
	g.parking.Store(&c)
}
