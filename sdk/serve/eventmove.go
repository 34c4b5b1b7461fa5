package serve

import (
	"net"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
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
	if len(c.out) > 0 || c.shut || c.ending {
		c.sendSoon()
	}
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
	tell := !c.finished && c.events.Closed != nil
	c.finished = true
	c.mu.Unlock()
	if tell {
		c.events.Closed(c, ErrHandover)
	}
	c.g.rests(c, s)
}

// rests makes an idle link of a connection that was handed over.
func (g *Group) rests(c *EventConn, s spoken) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.live, c)
	l := c.l
	if l.dropped {
		return
	}
	l.event, l.unread, l.unsent = nil, s.unread, s.unsent
	if l.spoken() {
		g.worded[l] = struct{}{}
	}
	g.sift(l)
}

// An adopted connection came from another process, and is the handler's from Resume on; nothing is read before begin.
type adopted struct {
	c       *EventConn
	session []byte
}

// adopt makes an idle link live. The group's lock is held.
func (g *Group) adopt(l *link) adopted {
	c := &EventConn{g: g, l: l, events: &l.door.events, fd: l.fd, in: l.unread, out: l.unsent, busy: true}
	delete(g.worded, l)
	delete(g.early, l)
	l.event, l.unread, l.unsent = c, nil, nil
	g.live[c] = struct{}{}
	return adopted{c, l.session}
}

func (a adopted) resume() { a.c.events.Resume(a.c, a.session) }

// begin has an adopted connection served. The kernel tells anew what there is to read.
func (a adopted) begin() {
	c := a.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		c.finished = true
		go c.over(net.ErrClosed)
		return
	}
	if err := c.g.idle.watchEvents(c.fd, 0); err != nil {
		c.g.log.Error("a connection could not be taken over", "listener", c.l.door.name, "error", err)
		c.busy = false
		go func() { _ = c.close() }()
		return
	}
	c.busy, c.more = false, len(c.in) > 0
	if len(c.out) > 0 {
		c.sendSoon()
	}
	c.readSoon()
}

// resumeAll tells the handlers of adopted connections, on all processors.
func resumeAll(all []adopted) {
	var told sync.WaitGroup
	for part := range slices.Chunk(all, len(all)/runtime.GOMAXPROCS(0)+1) {
		told.Go(func() {
			for _, a := range part {
				a.resume()
			}
		})
	}
	told.Wait()
}

// seeOff tells the clients of parked connections what is left to say, and waits until end for them to take it and leave.
// Nobody else looks at the events.
func (g *Group) seeOff(conns map[*EventConn]struct{}, end time.Time) {
	for c := range conns {
		if c.lastStep() {
			delete(conns, c)
		}
	}
	var events [128]unix.EpollEvent
	for len(conns) > 0 {
		n, err := unix.EpollWait(g.idle.ep, events[:], int(max(time.Until(end), 0)/time.Millisecond))
		if n == 0 && err == nil {
			return
		}
		for _, ev := range events[:max(n, 0)] {
			if c := g.eventOf(ev.Fd); c != nil && c.lastStep() {
				delete(conns, c)
			}
		}
	}
}

func (g *Group) eventOf(fd int32) *EventConn {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.idle.links[fd]; l != nil {
		return l.event
	}
	return nil
}

// goodbye is the last thing to say on a parked connection; false if it is not one.
func (c *EventConn) goodbye() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.park == nil || c.closed || c.handed {
		return false
	}
	if c.events.Farewell != nil && !c.ending && !c.shut {
		c.out = slices.Concat(c.out, c.events.Farewell(c))
	}
	c.shut, c.full = true, false
	return len(c.out) > 0
}

// lastStep sends what the socket takes, and then waits for the client to leave, which it has if this is true: closed while
// bytes of the client's are unread, a connection is reset, and what was said may be lost with it.
func (c *EventConn) lastStep() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return true
	}
	var err error
	if len(c.out) > 0 {
		if c.out, err = writeSome(c.fd, c.out); err != nil || len(c.out) > 0 {
			return err != nil || !c.awaitRoom()
		}
		_ = unix.Shutdown(c.fd, unix.SHUT_WR)
	}
	for sink := [512]byte{}; err == nil; {
		_, err = readSocket(c.fd, sink[:])
	}
	return err != unix.EAGAIN
}
