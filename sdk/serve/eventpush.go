package serve

import (
	"net"

	"golang.org/x/sys/unix"
)

// Push sends p to the client, whole and in the order of the calls, and never waits. p must not be changed afterwards. If more
// than limit bytes would wait, nothing of p is sent, and ErrSlow is returned. What the client has not taken yet travels with
// the connection; once that is decided, nothing can be added, and ErrHandover is returned.
func (c *EventConn) Push(p []byte, limit int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed || c.ending || c.deaf:
		return net.ErrClosed
	case c.said || c.handed:
		return ErrHandover
	case len(c.out)+len(p) > limit:
		return ErrSlow
	case len(c.out) == 0:
		c.out = p[:len(p):len(p)]
	default:
		c.out = append(c.out, p...)
	}
	c.sendSoon()
	return nil
}

// Waiting is how many bytes wait to be sent.
func (c *EventConn) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.out)
}

// Discard tells the client, after all that was pushed, that no more will be said, and drops what it says until it leaves or
// is closed: hung up at once it might not see what was pushed. Ready is not called any more.
func (c *EventConn) Discard() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf = true
	c.sendSoon()
}

// sendSoon gives the connection to the senders, if the socket takes something. The lock is held.
func (c *EventConn) sendSoon() {
	if !c.queued && !c.full && c.park == nil {
		c.queued = true
		c.g.senders.add(c)
	}
}

// sendAll gives it to them after a time in which nothing was sent. The lock is held.
func (c *EventConn) sendAll() {
	if len(c.out) > 0 || c.deaf || c.ending {
		c.sendSoon()
	}
}

// send sends what the socket takes.
func (c *EventConn) send() {
	c.mu.Lock()
	c.queued = false
	over := !c.sendOut()
	c.mu.Unlock()
	if over {
		_ = c.close()
	}
}

// sendOut is false if the connection is over. The lock is held.
func (c *EventConn) sendOut() bool {
	if c.closed || c.handed || c.park != nil {
		return true
	}
	var err error
	if c.out, err = writeSome(c.fd, c.out); err != nil {
		return false
	}
	switch {
	case len(c.out) > 0:
		return c.awaitRoom()
	case c.ending:
		return false
	case c.deaf:
		_ = unix.Shutdown(c.fd, unix.SHUT_WR)
	}
	c.readSoon()
	return true
}

// awaitRoom has the kernel tell when the socket takes something again.
func (c *EventConn) awaitRoom() bool {
	c.full = true
	if c.awaits {
		return true
	}
	c.awaits = true
	return c.g.events.tellRoom(c) == nil
}
