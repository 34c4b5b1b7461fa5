package serve

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// MaxSession is the most bytes a session may have.
const MaxSession = 32 << 10

// A Conn is a connection of a Stream listener. One goroutine reads, as a rule the handler's; any may write.
type Conn struct {
	gate

	wmu sync.Mutex // one write at a time
	// Guarded by the gate's lock.
	before   func() []byte // what the handler has used and wants to read again elsewhere, ahead of held; nil: nothing
	held     []byte        // what the handler has read and not used, while it waits
	out      []byte        // written by the handler, not taken by the client yet
	reading  bool          // in Read: the handler has to be asked what it holds
	readBy   time.Time     // the deadline for reads, as the handler set it
	kicked   bool          // a park has spoilt it
	writeBy  time.Time     // that for writes
	hurried  bool          // a park has spoilt it
	inHand   *request      // Park waits for it, and the connection does not travel before; nil: none
	closing  bool          // the handler has returned, or all is said
	offered  bool          // by Handover
	pushing  bool          // a goroutine sends what Push left in out
	farewell []byte        // for the client, at the end of this process
	event    *EventConn    // that it has become

	// Value is the handler's own, for as long as this process serves the connection.
	Value any
}

func newConn(d *door, l *link) *Conn {
	c := &Conn{out: l.unsent}
	c.init(d.g, l, c)
	return c
}

// serve runs the handler, and ends the connection unless it was handed over.
func (c *Conn) serve(handle func(*Conn)) {
	handle(c)
	if c.event != nil {
		c.event.run()
		return
	}
	offered, stop := c.returned()
	if stop != nil {
		<-stop.done
	}
	switch {
	case !offered:
		c.lastFlush()
		_ = c.close()
	case !c.isHanded():
		c.restart()
	}
}

// returned takes note that the handler has. An offered connection that is not parked is detached from this instant.
func (c *Conn) returned() (offered bool, stop *park) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = !c.offered
	if c.inHand != nil {
		c.inHand.cancel(nil)
	}
	if !c.offered {
		return false, nil
	}
	if c.park == nil {
		c.detached = true
	}
	return true, c.park
}

func (c *Conn) isHanded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.handed
}

// restart gives an offered connection that nobody took to a new call of the handler.
func (c *Conn) restart() {
	c.mu.Lock()
	unread, unsent, _ := c.words()
	c.mu.Unlock()
	c.g.detach(&c.gate, unread, unsent)
}

// lastFlush gives a slow client a limited time to take what the handler wrote before it returned.
func (c *Conn) lastFlush() {
	timer := time.AfterFunc(c.g.limit, func() { _ = c.close() })
	defer timer.Stop()
	_ = c.Flush()
}

// Read reads at least one byte. When this version hands over it fails with ErrHandover: the handler must then call
// Handover with what it has read and not used, and return.
func (c *Conn) Read(p []byte) (int, error) {
	if err := c.Flush(); err != nil {
		return 0, err
	}
	for c.beginRead() {
		n, err := c.read(p)
		if !c.endRead(err) {
			return n, err
		}
	}
	return 0, ErrHandover
}

// beginRead says whether the connection stays here; then it is one that a park has to wake.
func (c *Conn) beginRead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kicked {
		c.kicked = false
		_ = c.nc.SetReadDeadline(c.readBy)
	}
	c.reading = (c.owes == nil || c.inHand != nil) && !c.detached
	return c.reading
}

// endRead says whether a read failed for no other reason than a park.
func (c *Conn) endRead(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = false
	return c.kicked && errors.Is(err, os.ErrDeadlineExceeded)
}

// ReadMore reads at least one byte into free. held is what the handler has read before and not used: a connection
// that is handed over while ReadMore waits travels with it, and the handler need not be woken for it. If the
// connection was, ReadMore fails with ErrHandover, and the handler must simply return.
func (c *Conn) ReadMore(held, free []byte) (int, error) {
	if err := c.Flush(); err != nil {
		return 0, err
	}
	c.mu.Lock()
	c.held = held
	c.atRest()
	c.mu.Unlock()
	return c.read(free)
}

// Write writes all of p. While this version is about to hand over, what a slow client does not take at once is kept
// and travels with the connection. A connection that has been handed over fails with ErrHandover.
func (c *Conn) Write(p []byte) (int, error) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if err := c.send(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush returns when the client's side of the connection has taken all that was written, or a handover begins.
func (c *Conn) Flush() error {
	c.mu.Lock()
	none := len(c.out) == 0
	c.mu.Unlock()
	if none {
		return nil
	}
	c.wmu.Lock()
	defer c.wmu.Unlock()
	return c.send(nil)
}

// Handover offers the connection to the next version, with what was read and not used and what was not written yet.
// The handler must return after it. If nobody takes over, the connection is served here again, by a new call of the
// handler. A push in between may be refused: a handler of a connection that gets pushes calls Rest instead.
func (c *Conn) Handover(unread, unsent []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = bytes.Clone(unread)
	c.out = append(c.out, unsent...)
	c.offered = true
	c.atRest()
}

// Rest is for a handler that sees, by Parking, that this version is about to hand over, and has more to do than a park
// should wait for. It keeps held as ReadMore does, and returns when it is decided who goes on: ErrHandover if the connection
// goes or net.ErrClosed if it has ended, and then the handler must simply return; nil if the handler goes on with what it held.
// All the while the connection is served, so what is pushed to it is not lost.
func (c *Conn) Rest(held []byte) error {
	for {
		stop, err := c.rests(held)
		if stop == nil {
			return err
		}
		<-stop.done
		if stop.handed {
			return ErrHandover
		}
	}
}

// rests has the connection at rest for the park that is under way, whether or not that has come to it yet; nil if there is
// none.
func (c *Conn) rests(held []byte) (*park, error) {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, net.ErrClosed
	case c.g.park == nil:
		c.waiting = false
		return nil, nil
	}
	c.held = held
	c.atRest()
	return c.g.park, nil
}

// Parking is closed while this version is about to hand over: a handler that waits for something other than its
// client, or works through many commands that it has read already, looks at it and hands over.
func (c *Conn) Parking() <-chan struct{} { return c.g.parkingNow() }

// Session is what SetSession left, in this version or in one before.
func (c *Conn) Session() []byte {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	return c.l.session
}

// SetSession keeps what the next version's handler has to know of the connection beyond its bytes, such as the
// protocol version that was agreed on. At most MaxSession bytes; more is an error. It is meant for small things that
// rarely change. As with Push, a goroutine that a handover does not wait for may be refused then, with ErrHandover.
func (c *Conn) SetSession(b []byte) error {
	return c.g.setSession(c.l, b, c.isDecided)
}

// setSession keeps a session, unless it is decided what travels.
func (g *Group) setSession(l *link, b []byte, decided func() bool) error {
	if len(b) > MaxSession {
		return errors.New("serve: the session is too large")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if decided() {
		return ErrHandover
	}
	l.session = bytes.Clone(b)
	if g.pair != nil && l.id != 0 {
		g.pair.saySession(l)
	}
	return nil
}

// isDecided is true once what travels with the connection can be changed no more.
func (c *Conn) isDecided() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.said || c.detached
}

// LocalAddr is the address that the client connected to; an empty one for a connection that has no socket here, as in
// Early's functions.
func (c *Conn) LocalAddr() net.Addr { return c.address(net.Conn.LocalAddr) }

// RemoteAddr is the client's address; an empty one for a connection that has no socket here.
func (c *Conn) RemoteAddr() net.Addr { return c.address(net.Conn.RemoteAddr) }

func (c *Conn) address(of func(net.Conn) net.Addr) net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.nc == nil {
		return &net.TCPAddr{}
	}
	return of(c.nc)
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline makes reads fail after t, unless the connection is handed over before.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readBy = t
	return c.nc.SetReadDeadline(t)
}

// SetWriteDeadline makes writes fail after t, unless the connection is handed over before. What such a write has not
// written is not to be completed: end the connection.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeBy = t
	return c.nc.SetWriteDeadline(t)
}

// Logger is the group's, for what clients are not told.
func (c *Conn) Logger() *slog.Logger { return c.g.log }

// SyscallConn is for socket options and peer credentials.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return c.nc.(syscall.Conn).SyscallConn() }

// Close ends the connection. A handler need not call it; returning does the same.
func (c *Conn) Close() error { return c.close() }

func (c *Conn) words() (unread, unsent []byte, ok bool) {
	if c.before != nil {
		unread = c.before()
	}
	return slices.Concat(unread, c.held, c.in), c.out, true
}

// interrupt wakes a handler out of a Read and a write that waits for a slow client; one with a request in hand is told.
func (c *Conn) interrupt(force bool, budget time.Duration) {
	switch {
	case c.owes == nil || c.nc == nil:
		return
	case c.inHand != nil:
		c.inHand.told(force, budget)
		return
	}
	if c.reading {
		c.kicked = true
		_ = c.nc.SetReadDeadline(past)
	}
	if c.writing && c.putsOff() {
		c.hurried = true
		_ = c.nc.SetWriteDeadline(past)
	}
}

// resumed sends what a slow client kept a parked connection from sending.
func (c *Conn) resumed() bool {
	switch {
	case c.offered:
		c.detached = true // for restart
	case len(c.out) > 0 && c.waiting:
		go func() { _ = c.Flush() }()
	}
	return false
}

// send writes out and p, and keeps in out what it cannot write because of a park. The write lock is held.
func (c *Conn) send(p []byte) error {
	p, err := c.beginSend(p)
	for err == nil {
		failed := error(nil)
		werr := c.raw.Write(func(fd uintptr) bool {
			p, failed = writeSome(int(fd), p)
			return len(p) == 0 || failed != nil || c.stopping()
		})
		if failed != nil {
			werr = failed
		}
		if over, err := c.endSend(p, werr); over {
			return err
		}
	}
	return err
}

// beginSend takes what is to be written, out before p; while the connection is parked it waits for the decision.
func (c *Conn) beginSend(p []byte) ([]byte, error) {
	for {
		c.mu.Lock()
		stop := c.park
		switch {
		case c.closed:
			c.mu.Unlock()
			return nil, net.ErrClosed
		case c.detached:
			c.mu.Unlock()
			return nil, ErrHandover
		case stop == nil:
			if len(c.out) > 0 {
				p = append(c.out, p...)
			}
			c.out, c.writing = nil, true
			c.mu.Unlock()
			return p, nil
		}
		c.mu.Unlock()
		<-stop.done
	}
}

// endSend says whether a send is over: all written, failed, or put off by a park. Of a write that is put off no error is left.
func (c *Conn) endSend(rest []byte, err error) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hurried && !c.closed && errors.Is(err, os.ErrDeadlineExceeded) {
		c.hurried, err = false, nil
		_ = c.nc.SetWriteDeadline(c.writeBy)
		if len(rest) > 0 && !c.putsOff() {
			return false, nil
		}
	}
	if len(rest) > 0 {
		c.out = append(bytes.Clone(rest), c.out...) // what was pushed meanwhile comes after it
	}
	c.writing = false
	if c.waiting {
		c.atRest()
	}
	return true, err
}

func (c *Conn) stopping() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.putsOff()
}

// writeSome writes what the socket takes without waiting, and returns the rest.
func writeSome(fd int, p []byte) ([]byte, error) {
	for len(p) > 0 {
		n, err := transmit(fd, p)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return p, nil
		case err != nil:
			return p, os.NewSyscallError("write", err)
		default:
			p = p[n:]
		}
	}
	return nil, nil
}
