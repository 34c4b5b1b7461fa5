package serve

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// acceptor is what TCP and unix listeners have in common.
type acceptor interface {
	net.Listener
	SetDeadline(t time.Time) error
	syscall.Conn
}

// A door is a listener and what is behind it, and perhaps other listeners that lead there for a while.
type door struct {
	*port
	g      *Group
	name   string
	also   []*port     // guarded by the group's turn
	http   *httpDoor   // one of the two
	handle func(*Conn) //
	early  Early
	events Events
	wanted func(session []byte) bool // before their clients speak: of early or of events; nil: none
	open   sync.Once
}

// A port is a listener at which connections are accepted for a door.
type port struct {
	ln    acceptor
	ended chan struct{} // of the accept loop; nil: none runs
}

func newDoor(g *Group, name string, ln net.Listener) *door {
	return &door{g: g, name: name, port: newPort(name, ln)}
}

func newPort(name string, ln net.Listener) *port {
	switch l := ln.(type) {
	case *net.TCPListener:
		return &port{ln: l}
	case *net.UnixListener:
		l.SetUnlinkOnClose(false)
		return &port{ln: l}
	}
	panic(fmt.Sprintf("serve: listener %q is a %T, want TCP or unix", name, ln))
}

// newConn makes the object that serves a link.
func (d *door) newConn(l *link) gated {
	if d.http != nil {
		return newHTTPConn(d, l)
	}
	return newConn(d, l)
}

// serve serves a connection; for HTTP it returns when net/http has it.
func (d *door) serve(c gated) {
	if d.http != nil {
		d.http.deliver(c.(*httpConn))
		return
	}
	c.(*Conn).serve(d.handle)
}

func (d *door) idleLimit() time.Duration {
	if d.http == nil {
		return 0
	}
	if d.http.srv.IdleTimeout != 0 {
		return d.http.srv.IdleTimeout
	}
	return d.http.srv.ReadTimeout
}

// start accepts connections.
func (d *door) start() {
	if d.http != nil {
		d.open.Do(d.http.start)
	}
	for _, p := range d.ports() {
		d.startAt(p)
	}
}

func (d *door) ports() []*port { return append([]*port{d.port}, d.also...) }

func (d *door) startAt(p *port) {
	_ = p.ln.SetDeadline(time.Time{})
	p.reopen()
	if p.ended == nil {
		p.ended = make(chan struct{})
		go d.accept(p, p.ended)
	}
}

// stop returns when no connection is being accepted any more, or with false when late is closed. The listeners stay open.
func (d *door) stop(late <-chan struct{}) bool {
	stopped := true
	for _, p := range d.ports() {
		stopped = p.stop(late) && stopped
	}
	return stopped
}

func (p *port) stop(late <-chan struct{}) bool {
	if p.ended == nil {
		return true
	}
	_ = p.ln.SetDeadline(past)
	select {
	case <-p.ended:
		p.ended = nil
		return true
	case <-late:
		return false
	}
}

// unblock makes the listener non-blocking. It always should be; but whoever passes a listening socket on with
// File().Fd(), in any process that has it, makes it blocking for all of them, and an accept that waits in the kernel
// cannot be stopped.
func (p *port) unblock() {
	raw, err := p.ln.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.SetNonblock(int(fd), true) })
}

func (d *door) accept(p *port, ended chan struct{}) {
	defer close(ended)
	pause := time.Duration(0)
	for {
		p.unblock()
		nc, err := p.ln.Accept()
		switch {
		case err == nil:
			pause = 0
			d.welcome(nc)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return
		case errors.Is(err, net.ErrClosed):
			d.g.log.Error("the listener was closed", "listener", d.name)
			return
		default: // out of descriptors or memory: it passes
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			d.g.log.Warn("cannot accept", "listener", d.name, "error", err, "again_in", pause)
			if !d.wait(pause) {
				return
			}
		}
	}
}

// wait is a pause that ends early, with false, when the door is to stop accepting.
func (d *door) wait(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-d.g.parkingNow():
		return false
	}
}

// welcome makes an accepted connection live and tells the peer of it.
func (d *door) welcome(nc net.Conn) {
	l := &link{door: d, fd: -1}
	c := d.newConn(l)
	c.base().attach(nc)
	d.g.mu.Lock()
	d.g.links[l], d.g.live[c] = struct{}{}, struct{}{}
	if d.g.pair != nil {
		d.g.pair.sayAhead(l)
	}
	d.g.mu.Unlock()
	if d.http != nil {
		d.serve(c)
		return
	}
	go d.serve(c)
}
