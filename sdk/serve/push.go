package serve

import (
	"errors"
	"net"
)

// ErrSlow says that a client does not take what it is sent.
var ErrSlow = errors.New("serve: the client does not take what it is sent")

// Push sends p to a client that has not asked, whole and in the order of the calls, and never waits. What the client has
// not taken yet travels with the connection. If more than limit bytes would wait, nothing of p is sent, and ErrSlow is
// returned. Any goroutine may call it, but what is pushed by one that a handover does not wait for may be refused then, with
// ErrHandover.
func (c *Conn) Push(p []byte, limit int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed || c.closing:
		return net.ErrClosed
	case c.detached || c.said:
		return ErrHandover
	case len(c.out)+len(p) > limit:
		return ErrSlow
	}
	c.out = append(c.out, p...)
	if !c.pushing && c.park == nil && c.nc != nil { // else whoever serves next sends it
		c.pushing = true
		go c.pushOut()
	}
	return nil
}

// Waiting is how many bytes wait to be sent.
func (c *Conn) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.out)
}

// pushOut sends what was pushed until nothing is left, or a park leaves it to whoever serves next.
func (c *Conn) pushOut() {
	for {
		c.wmu.Lock()
		err := c.send(nil)
		c.wmu.Unlock()
		if !c.pushesMore(err) {
			return
		}
	}
}

func (c *Conn) pushesMore(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pushing = err == nil && len(c.out) > 0 && c.owes == nil && c.park == nil
	return c.pushing
}

// Before is for bytes that the handler has used already and that the next one is to read again, ahead of all others: used
// returns them. It is called if the connection travels, while the handler waits in ReadMore or Rest, and must be quick.
func (c *Conn) Before(used func() []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.before = used
}
