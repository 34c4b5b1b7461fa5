package serve

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var past = time.Unix(1, 0)

// A park is one attempt to have nothing in hand.
type park struct {
	owing  atomic.Int64  // connections with work in hand, and one for the park itself while it counts
	quiet  chan struct{} // closed when nothing is in hand
	done   chan struct{} // closed when it is decided
	handed bool          // the decision: the connections go to the peer. Set before done is closed
}

func newPark() *park {
	p := &park{quiet: make(chan struct{}), done: make(chan struct{})}
	p.owing.Store(1)
	return p
}

func (p *park) settle() {
	if p.owing.Add(-1) == 0 {
		close(p.quiet)
	}
}

// liveConn is a connection that this process serves. The group's lock is held in stop, resume and hurry.
type liveConn interface {
	link() *link
	// stop parks the connection, or asks for its work in hand.
	stop(p *park)
	// resume undoes stop.
	resume()
	// hurry tells work in hand of a park; with force it is ended.
	hurry(force bool, budget time.Duration)
	// say is the last words of a parked connection, after which nothing can be added to them.
	say() spoken
	// letGo takes note that the connection is the peer's, if it is portable.
	letGo(portable bool)
	// withdraw makes it an idle link again, after letGo.
	withdraw(s spoken)
	// close ends the connection for the client, unless it is the peer's.
	close() error
}

// gated is a connection with a gate.
type gated interface {
	liveConn
	base() *gate
	// words is what the next process must know of a parked connection; false if it cannot be handed over. The
	// gate's lock is held.
	words() (unread, unsent []byte, ok bool)
	// interrupt tells work in hand of a park; with force it is ended. The gate's lock is held.
	interrupt(force bool, budget time.Duration)
	// resumed is told that a park is over and the connection stays; fresh wants a new start with the words. The
	// gate's lock is held.
	resumed() (fresh bool)
}

// A gate is between a connection and whoever serves it. Nothing passes inwards while it is parked at a boundary:
// the goroutine that waits for a next request just goes on waiting, be it in the poller, be it for the decision.
// So parking needs no wake-up, no deadline, and leaves a request's own reads alone.
type gate struct {
	g    *Group
	l    *link
	self gated

	mu       sync.Mutex // guards what follows; one lock per connection, held for microseconds
	nc       net.Conn
	raw      syscall.RawConn
	in       []byte // read by another process; comes before what the socket has
	park     *park  // stands still for this park
	owes     *park  // this park waits for the work in hand
	waiting  bool   // in a read at a boundary, nothing in hand
	writing  bool   // what waits to be written is in hand nevertheless
	said     bool   // the peer has been told the last words, so nothing can be added to them
	detached bool   // goes to the peer, or back to the idle set; the socket is not ours to touch
	handed   bool   // to the peer
	closed   bool
	free     bool // from parks

	filter func([]byte) (skip, n int) // see framer.pass; nil: everything passes
	into   []byte                     // where the read in progress reads to
	got    int                        // and what came of it
	failed error
	try    func(uintptr) bool // tryRead, allocated once
}

func (c *gate) base() *gate { return c }

func (c *gate) link() *link { return c.l }

func (c *gate) init(g *Group, l *link, self gated) {
	c.g, c.l, c.self = g, l, self
	c.in = l.unread
	c.try = c.tryRead
}

// attach gives the gate its socket; false if it was closed before it had one.
func (c *gate) attach(nc net.Conn) bool {
	raw, _ := nc.(syscall.Conn).SyscallConn() // never fails for an open TCP or unix connection
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.nc, c.raw = nc, raw
	c.l.conn, c.l.fd = c, -1
	return true
}

// atRest takes note that nothing is in hand. The lock is held.
func (c *gate) atRest() {
	c.waiting = true
	if c.owes != nil && !c.writing {
		c.park, c.owes = c.owes, nil
		c.park.settle()
	}
}

// released takes note that a park need not wait for this connection any more. The lock is held.
func (c *gate) released() {
	if c.owes != nil {
		c.owes.settle()
		c.owes = nil
	}
}

func (c *gate) stop(p *park) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed || c.free:
	case c.waiting && !c.writing && !c.detached:
		c.park = p
	default:
		c.owes = p
		p.owing.Add(1)
	}
}

func (c *gate) resume() {
	c.mu.Lock()
	c.park, c.owes, c.said = nil, nil, false
	fresh := c.self.resumed()
	var unread, unsent []byte
	if fresh {
		c.detached = true
		unread, unsent, _ = c.self.words()
	}
	c.mu.Unlock()
	if fresh {
		go c.g.detach(c, unread, unsent)
	}
}

// read is a read at a boundary: it may be parked, and ends with ErrHandover if the connection goes.
func (c *gate) read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.mu.Lock()
	c.into, c.got, c.failed = p, 0, nil
	c.mu.Unlock()
	for {
		err := c.rawRead()
		stop, n, err := c.outcome(err)
		if stop == nil {
			return n, err
		}
		<-stop.done
		if stop.handed {
			return 0, ErrHandover
		}
	}
}

// rawRead waits until tryRead has an answer. What has come from another process needs no waiting.
func (c *gate) rawRead() error {
	c.mu.Lock()
	have, detached := len(c.in) > 0, c.detached
	c.mu.Unlock()
	if detached {
		return ErrHandover
	}
	if have && c.tryRead(noSocket) {
		return nil
	}
	return c.raw.Read(c.try)
}

// tryRead reads what is there; false if that is nothing. In the instant in which bytes are taken from the socket the
// connection stops being at rest, so no park can miss them.
func (c *gate) tryRead(fd uintptr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.park != nil || c.detached {
		return true
	}
	for {
		n, err := c.take(fd)
		if err == unix.EAGAIN {
			return false
		}
		if err == nil && n == 0 {
			continue // dropped
		}
		c.got, c.failed, c.waiting = n, err, false
		return true
	}
}

// pass says how many of the first n bytes of into to drop, and how many of the rest may pass.
func (c *gate) pass(n int) (skip, passed int) {
	if c.filter == nil {
		return 0, n
	}
	return c.filter(c.into[:n])
}

// take reads once, from what is here or from the socket, and keeps what must not pass yet.
func (c *gate) take(fd uintptr) (int, error) {
	if len(c.in) > 0 {
		skip, n := c.pass(copy(c.into, c.in))
		copy(c.into, c.in[skip:skip+n])
		if c.in = c.in[skip+n:]; len(c.in) == 0 {
			c.in = nil
		}
		return n, nil
	}
	if fd == noSocket {
		return 0, unix.EAGAIN
	}
	got, err := readSocket(int(fd), c.into)
	if err != nil {
		return 0, err
	}
	rest := c.into[:got]
	skip, n := c.pass(got)
	if skip+n < got {
		c.in = bytes.Clone(rest[skip+n:])
	}
	if skip > 0 {
		copy(c.into, rest[skip:skip+n])
	}
	return n, nil
}

// rawMost is how many bytes one call moves at most: nobody else uses the processor meanwhile.
const rawMost = 64 << 10

// noSocket stands for the descriptor in a read of what is here.
const noSocket = ^uintptr(0)

func readSocket(fd int, p []byte) (int, error) {
	for {
		n, err := receive(fd, p)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// outcome is what a read has come to; or the park for whose decision it has to wait.
func (c *gate) outcome(err error) (*park, int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.park != nil:
		return c.park, 0, nil
	case c.detached:
		return nil, 0, ErrHandover
	case err != nil:
		c.waiting = false
		return nil, 0, c.readError(err)
	case c.failed == nil || c.failed == io.EOF:
		return nil, c.got, c.failed
	}
	return nil, 0, c.readError(os.NewSyscallError("read", c.failed))
}

// readError looks like an error of net.Conn.Read.
func (c *gate) readError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	a := c.nc.LocalAddr()
	return &net.OpError{Op: "read", Net: a.Network(), Source: a, Addr: c.nc.RemoteAddr(), Err: err}
}

func (c *gate) close() error {
	c.mu.Lock()
	if c.closed || c.detached {
		c.mu.Unlock()
		return nil
	}
	c.closed, c.waiting, c.park = true, false, nil
	nc, raw := c.nc, c.raw
	c.released()
	c.mu.Unlock()
	told := c.g.leave(c)
	if nc == nil {
		return nil // attach comes too late
	}
	if told {
		_ = raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) })
	}
	return nc.Close()
}

func (c *gate) hurry(force bool, budget time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.self.interrupt(force, budget)
}

func (c *gate) say() spoken {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := spoken{c: c.self}
	if c.park != nil {
		s.unread, s.unsent, s.portable = c.self.words()
		c.said = true
	}
	return s
}

func (c *gate) letGo(portable bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.detached, c.handed, c.park = portable, portable, nil
}

func (c *gate) withdraw(s spoken) {
	if s.portable {
		c.g.detach(c, s.unread, s.unsent)
		return
	}
	_ = c.self.(interface{ Close() error }).Close()
}

// gone takes note that nobody serves the connection here any more.
func (c *gate) gone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.released()
}

// end is close for a connection that never got its socket.
func (c *gate) end() {
	c.mu.Lock()
	c.closed = true
	c.released()
	c.mu.Unlock()
	c.g.leave(c)
}

// leave forgets a connection that has ended, and says whether the peer had a duplicate.
func (g *Group) leave(c *gate) (told bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	told = c.l.id != 0
	delete(g.live, c.self)
	g.forget(c.l)
	return told
}

// detach takes the socket away from whoever serves the connection, and makes it an idle link again, with words if
// there are any. The gate's lock is not held.
func (g *Group) detach(c *gate, unread, unsent []byte) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.detached = true
	c.mu.Unlock()
	g.keep(c, unread, unsent)
	_ = c.nc.Close()
}

// keep is the part of detach under the group's lock: all of the time the peer can be given a duplicate.
func (g *Group) keep(c *gate, unread, unsent []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer c.gone()
	l := c.l
	delete(g.live, c.self)
	if l.dropped {
		return
	}
	fd, err := l.dup()
	if err != nil {
		g.log.Error("a connection could not be kept", "listener", l.door.name, "error", err)
		g.forget(l)
		return
	}
	l.conn, l.fd, l.unread, l.unsent = nil, fd, unread, unsent
	g.rest(l)
}

// rest has a link with a descriptor wait for its client; one with words is served at once, or when the group serves.
// The group's lock is held.
func (g *Group) rest(l *link) {
	wanted := g.place(l)
	if l.dropped {
		return
	}
	if l.spoken() {
		g.worded[l] = struct{}{}
	}
	if wanted || l.spoken() {
		g.rouse()
	} else if g.phase == serving {
		g.watchIdle(l.door)
	}
}

// rouse serves the links with words, if the group serves. The group's lock is held.
func (g *Group) rouse() {
	if g.phase != serving {
		return
	}
	if w := g.wakeEarly(); len(w.waking)+len(w.adopted) > 0 {
		go func() { w.resume(); w.begin() }()
	}
	for l := range g.worded {
		g.idle.remove(l)
		go g.wake(l).run()
	}
}
