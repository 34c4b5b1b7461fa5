package serve

import (
	"net"
	"runtime"
	"slices"
	"sync"
	"time"
)

func (c *EventConn) link() *link { return c.l }

func (c *EventConn) stop(p *park) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
	case c.busy:
		c.owes = p
		p.owing.Add(1)
	default:
		c.park = p
	}
}

func (c *EventConn) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.park, c.owes, c.said = nil, nil, false
	c.sendAll()
	c.readSoon()
}

// hurry has nothing to do: Ready looks at Parking, and does not wait for the client.
func (c *EventConn) hurry(bool, time.Duration) {}

func (c *EventConn) say() spoken {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := spoken{c: c}
	if c.park == nil {
		return s
	}
	c.said, s.portable = true, true
	s.unread, s.unsent = c.in, c.out
	if c.events.Held != nil {
		s.unread = slices.Concat(c.events.Held(c), c.in)
	}
	return s
}

func (c *EventConn) letGo(portable bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handed, c.park = portable, nil
}

func (c *EventConn) withdraw(s spoken) {
	if !s.portable {
		_ = c.close()
		return
	}
	c.mu.Lock()
	tell, again := !c.finished && c.events.Closed != nil, c.more || c.last || c.awaits
	c.finished = true
	c.mu.Unlock()
	if tell {
		c.events.Closed(c, ErrHandover)
	}
	c.g.rests(c, s, again)
}

// rests makes an idle link of a connection that was handed over. Again says that whoever comes next is to be told of its socket
// again: there may be something to read of which this one was told.
func (g *Group) rests(c *EventConn, s spoken, again bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.live, c)
	l := c.l
	if l.dropped {
		return
	}
	l.event, l.unread, l.unsent = nil, s.unread, s.unsent
	g.events.untell(c)
	if again {
		g.events.tellAgain(c)
	}
	g.rest(l)
}

// An adopted connection came from another process, and is the handler's from resume on; nothing is read before begin.
type adopted struct {
	c       *EventConn
	session []byte
}

// adopt makes an idle link live. The group's lock is held.
func (g *Group) adopt(l *link) adopted {
	c := &EventConn{g: g, l: l, events: &l.door.events, fd: l.fd, in: l.unread, out: l.unsent, busy: true}
	delete(g.worded, l)
	l.event, l.unread, l.unsent = c, nil, nil
	g.live[c] = struct{}{}
	g.events.tell(c)
	return adopted{c, l.session}
}

// resumeAll tells the handlers, on all processors.
func resumeAll(all []adopted) {
	var told sync.WaitGroup
	for part := range slices.Chunk(all, len(all)/runtime.GOMAXPROCS(0)+1) {
		told.Go(func() {
			for _, a := range part {
				a.c.events.Resume(a.c, a.session)
			}
		})
	}
	told.Wait()
}

// begin has an adopted connection served.
func (a adopted) begin() {
	c := a.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		c.finished = true
		go c.over(net.ErrClosed)
		return
	}
	c.more = c.more || len(c.in) > 0
	c.atRest()
	c.sendAll()
	c.readSoon()
}

// seeOff tells the clients of parked connections what is left to say, and waits until end for them to take it and leave.
func seeOff(conns []*EventConn, end time.Time) {
	left := newPark()
	for _, c := range conns {
		c.goodbye(left)
	}
	left.settle()
	timer := time.NewTimer(time.Until(end))
	defer timer.Stop()
	select {
	case <-left.quiet:
	case <-timer.C:
	}
}

// goodbye says the last on a parked connection.
func (c *EventConn) goodbye(left *park) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.park == nil || c.closed || c.handed {
		return
	}
	if c.events.Farewell != nil && !c.ending && !c.deaf {
		c.out = slices.Concat(c.out, c.events.Farewell(c))
	}
	c.park, c.deaf, c.left = nil, true, left
	left.owing.Add(1)
	c.sendSoon()
	c.readSoon()
}
