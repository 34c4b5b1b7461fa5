package serve

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrWait says that there is nothing to read now: Ready returns, and is called again when there is.
var ErrWait = errors.New("serve: nothing to read now")

// Events is what a listener does with connections that need no goroutine while nothing comes from their clients, such as
// subscribers: it is called when something happens. A connection becomes one of these by [Conn.ToEvents], and is one from
// the start if it came from another process and is Wanted.
//
// Wanted, Held and Farewell are called with locks held: they must be quick, and use nothing of this package. Closed and Held may be nil.
type Events struct {
	// Wanted tells by the session whether a connection of another process is one of these.
	Wanted func(session []byte) bool
	// Resume is told of a connection from another process before anything is served. It must be quick, since the clients wait,
	// and may be called for several connections at once. All of EventConn may be used, of this connection and of all others.
	Resume func(c *EventConn, session []byte)
	// Ready is called when there is something to read, and not again for this connection before it has returned: nil, when Read has
	// said ErrWait or Parking is true; else the connection is over, once the client has taken what is left to send.
	Ready func(c *EventConn) error
	// Held is what Ready has read and not used: another process reads it again, ahead of all else.
	Held func(c *EventConn) []byte
	// Farewell is what the client is told last if this process ends without a successor.
	Farewell func(c *EventConn) []byte
	// Closed is told, once, that the connection is not served here any more, and why: ErrHandover if it is elsewhere.
	Closed func(c *EventConn, err error)
}

// An EventConn is a connection of a listener with Events. It is a descriptor and what waits to be sent: about 300 bytes.
// Read is for Ready; all else may be called by any goroutine.
type EventConn struct {
	// Value is the handler's own, for as long as this process serves the connection.
	Value any

	g      *Group
	l      *link
	events *Events
	fd     int // until closed, or handed over

	mu       sync.Mutex
	in       []byte     // read by another process; comes before what the socket has
	out      []byte     // for the client; shared with whoever pushed it
	park     *park      // stands still for this park
	owes     *park      // this park waits until Ready has returned
	busy     bool       // Ready runs, or is about to
	more     bool       // there may be something to read
	last     bool       // the client has said all
	full     bool       // the socket takes nothing now
	awaits   bool       // it is told of room in the socket
	queued   bool       // with the senders
	next     *EventConn // with the senders, and theirs
	deaf     bool       // no more is said after out, and what the client says is dropped
	ending   bool       // the connection is over when out is sent
	finished bool       // Closed was told, or is being told
	said     bool       // the peer has been told the last words, so nothing can be added to them
	handed   bool       // to the peer
	closed   bool
	left     *park // waits until it is closed
}

var _ liveConn = (*EventConn)(nil)

// ToEvents makes an EventConn of the connection, of which nothing was pushed yet. The handler must return after it: Ready is
// called then, whether or not there is something to read. All that is known of the connection goes with it.
func (c *Conn) ToEvents() (*EventConn, error) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	e, err := c.toEvents()
	if err == nil {
		_ = c.nc.Close() // the EventConn has a duplicate
	}
	return e, err
}

func (c *Conn) toEvents() (*EventConn, error) {
	g, l := c.g, c.l
	g.mu.Lock()
	defer g.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || l.dropped {
		return nil, net.ErrClosed
	}
	fd, err := l.dup()
	if err != nil {
		return nil, err
	}
	l.fd = fd
	if err := g.events.watch(l); err != nil {
		l.fd = -1
		_ = unix.Close(fd)
		return nil, err
	}
	e := &EventConn{g: g, l: l, events: &l.door.events, fd: fd, in: c.in, out: c.out, owes: c.owes, busy: true, more: true}
	g.events.tell(e)
	c.owes, c.out, c.detached, c.event = nil, nil, true, e
	l.conn, l.event = nil, e
	delete(g.live, c)
	g.live[e] = struct{}{}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sendAll()
	return e, nil
}

// happens is told by the kernel that something has happened.
func (c *EventConn) happens(events uint32) {
	const ends = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	c.mu.Lock()
	defer c.mu.Unlock()
	if events&(unix.EPOLLIN|ends) != 0 {
		c.more = true
	}
	c.last = c.last || events&ends != 0
	if c.full && events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.full = false
		c.sendSoon()
	}
	c.readSoon()
}

// readSoon has Ready called, if that makes sense. The lock is held.
func (c *EventConn) readSoon() {
	if c.more && !c.full && !c.busy && !c.finished && !c.closed && !c.handed && c.park == nil {
		c.busy = true
		go c.run()
	}
}

// run calls Ready until nothing is left to do.
func (c *EventConn) run() {
	for {
		if err := c.ready(); err != nil {
			c.over(err)
			return
		}
		if !c.goesOn() {
			return
		}
	}
}

func (c *EventConn) ready() error {
	c.mu.Lock()
	deaf := c.deaf
	c.mu.Unlock()
	if !deaf {
		return c.events.Ready(c)
	}
	var sink [512]byte
	for {
		if _, err := c.Read(sink[:]); err == ErrWait {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// goesOn is true if Ready is to be called again now; else the connection is at rest.
func (c *EventConn) goesOn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return true // Read tells
	case c.owes != nil:
		c.atRest()
		return false
	}
	c.busy = c.more && !c.full
	return c.busy
}

// atRest is for the park that waits for it. The lock is held.
func (c *EventConn) atRest() {
	c.busy = false
	if c.owes != nil {
		c.park, c.owes = c.owes, nil
		c.park.settle()
	}
}

// over is the end of the handler's part. What is left to send is sent, in limited time.
func (c *EventConn) over(err error) {
	c.mu.Lock()
	c.finished = true
	c.mu.Unlock()
	if c.events.Closed != nil {
		c.events.Closed(c, err)
	}
	c.mu.Lock()
	c.ending = true
	c.atRest()
	said := len(c.out) == 0 && c.park == nil
	c.mu.Unlock()
	if said {
		_ = c.close()
		return
	}
	time.AfterFunc(c.g.limit, func() { _ = c.close() })
}

// Read reads at least one byte, once the client's side has taken what was pushed to it. It never waits: ErrWait says that Ready
// is to return. After the end of the connection it fails with net.ErrClosed.
func (c *EventConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed, len(c.out) > 0 && !c.full && !c.sendOut():
		return 0, net.ErrClosed
	case c.owes != nil || c.full || !c.more:
		return 0, ErrWait
	case len(c.in) > 0:
		n := copy(p, c.in)
		if c.in = c.in[n:]; len(c.in) == 0 {
			c.in = nil
		}
		return n, nil
	}
	p = p[:min(len(p), rawMost)]
	n, err := readSocket(c.fd, p)
	if err == unix.EAGAIN {
		c.more = false
		return 0, ErrWait
	}
	if err == nil && n < len(p) && !c.last {
		c.more = false // what comes from now on is told
	}
	if err != nil && err != io.EOF {
		err = os.NewSyscallError("read", err)
	}
	return n, err
}

// Parking is true when a handover waits for Ready to return: what it has read already then is for Held.
func (c *EventConn) Parking() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.owes == nil || c.closed {
		return false
	}
	c.more = true // for Ready to go on with, if it stays
	return true
}

// Session is what SetSession left, in this version or in one before.
func (c *EventConn) Session() []byte {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	return c.l.session
}

// SetSession is as that of Conn.
func (c *EventConn) SetSession(b []byte) error { return c.g.setSession(c.l, b, c.isDecided) }

func (c *EventConn) isDecided() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.said || c.handed
}

// Meter is as that of Conn.
func (c *EventConn) Meter() *Meter { return &c.g.meter }

// Logger is the group's, for what clients are not told.
func (c *EventConn) Logger() *slog.Logger { return c.g.log }

// RemoteAddr is the client's address; an empty one after the end.
func (c *EventConn) RemoteAddr() net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.handed {
		return &net.TCPAddr{}
	}
	return remoteAddr(c.fd)
}

func remoteAddr(fd int) net.Addr {
	sa, _ := unix.Getpeername(fd)
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: slices.Clone(a.Addr[:]), Port: a.Port}
	case *unix.SockaddrInet6:
		return &net.TCPAddr{IP: slices.Clone(a.Addr[:]), Port: a.Port}
	case *unix.SockaddrUnix:
		return &net.UnixAddr{Name: a.Name, Net: "unix"}
	}
	return &net.TCPAddr{}
}

// Close ends the connection. Ready sees it, if it runs, and Closed is told in any case.
func (c *EventConn) Close() error { return c.close() }

func (c *EventConn) close() error {
	c.mu.Lock()
	if c.closed || c.handed {
		c.mu.Unlock()
		return nil
	}
	c.closed, c.park, c.in, c.out = true, nil, nil, nil
	tell := !c.busy && !c.finished
	c.finished = c.finished || tell
	left := c.left
	c.mu.Unlock()
	c.g.dropEvent(c)
	if left != nil {
		left.settle()
	}
	if tell {
		go c.over(net.ErrClosed)
	}
	return nil
}

// dropEvent forgets a connection that has ended.
func (g *Group) dropEvent(c *EventConn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	how := closeQuietly
	if c.l.id != 0 {
		how = hangup // the peer has a duplicate
	}
	delete(g.live, c)
	g.drop(c.l, how)
}
