package serve

import (
	"io"
	"sync"
	"time"
)

// Farewell keeps what the client is told last, after all that was written and pushed, if this process ends without a successor.
// It is not copied, and does not travel; nil is nothing.
func (c *Conn) Farewell(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.farewell = b
}

// farewell tells the clients of parked connections what is left to say, and gives them the group's limit to take it and leave.
func (g *Group) farewell(conns []liveConn) {
	end := time.Now().Add(g.limit)
	var said sync.WaitGroup
	var events []*EventConn
	for _, live := range conns {
		switch c := live.(type) {
		case *Conn:
			if last := c.lastWords(); len(last) > 0 {
				said.Go(func() { c.sayLast(last, end) })
			}
		case *EventConn:
			events = append(events, c)
		}
	}
	seeOff(events, end)
	said.Wait()
}

// lastWords is what is left to say to the client of a parked connection. Nothing can be added to it.
func (c *Conn) lastWords() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.park == nil || c.closed || c.detached {
		return nil
	}
	last := append(c.out, c.farewell...)
	c.out, c.closing = nil, true
	return last
}

// sayLast waits for the client to leave: closed while bytes of the client's are unread, a connection is reset, and what was said
// may be lost with it.
func (c *Conn) sayLast(last []byte, end time.Time) {
	_ = c.nc.SetDeadline(end)
	if _, err := c.nc.Write(last); err != nil {
		return
	}
	if err := c.nc.(interface{ CloseWrite() error }).CloseWrite(); err == nil {
		_, _ = io.Copy(io.Discard, c.nc)
	}
}
