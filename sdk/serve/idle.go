package serve

import (
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// An idleSet holds the connections that nobody looks at: disarmed ones, which the peer serves, and armed ones that
// have not said a word since they came. They wait in an epoll instance of their own, so arming any number of them is
// one step, and a standby is not woken by its peer's traffic: nobody looks at the instance until collect runs. (The
// runtime's poller looks at an [eventSet]; here, where each connection is woken once, that would bring little.)
type idleSet struct {
	ep    int
	bell  int // an eventfd in ep, to end a collect
	links map[int32]*link
	ended chan struct{} // of collect; nil: none runs
}

func newIdleSet() *idleSet {
	s := &idleSet{links: map[int32]*link{}}
	var err error
	if s.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err == nil {
		if s.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err == nil {
			err = s.watch(s.bell, unix.EPOLLIN)
		}
	}
	if err != nil {
		panic(fmt.Sprintf("serve: no epoll: %v", err)) // out of descriptors before anything was served
	}
	return s
}

func (s *idleSet) watch(fd int, events uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(s.ep, unix.EPOLL_CTL_ADD, fd, &ev))
}

// add takes a link with a descriptor in, if it is not. The group's lock is held.
func (s *idleSet) add(l *link) error {
	if s.links[int32(l.fd)] == l {
		return nil
	}
	if err := s.watch(l.fd, unix.EPOLLIN|unix.EPOLLRDHUP); err != nil {
		return err
	}
	l.since = time.Now()
	s.links[int32(l.fd)] = l
	return nil
}

// remove takes a link out. The group's lock is held.
func (s *idleSet) remove(l *link) {
	if s.links[int32(l.fd)] != l {
		return
	}
	delete(s.links, int32(l.fd))
	_ = unix.EpollCtl(s.ep, unix.EPOLL_CTL_DEL, l.fd, nil)
}

// startCollect serves idle connections as soon as they speak. The group's lock is held.
func (g *Group) startCollect() {
	g.idle.ended = make(chan struct{})
	go g.collect(g.idle.ended)
}

// stopCollect returns when no idle connection is being woken any more: those that were are live. The group does not
// serve now.
func (g *Group) stopCollect() {
	if g.idle.ended == nil {
		return
	}
	one := [8]byte{1}
	_, _ = unix.Write(g.idle.bell, one[:])
	<-g.idle.ended
	g.idle.ended = nil
	_, _ = unix.Read(g.idle.bell, one[:])
}

func (g *Group) collect(ended chan struct{}) {
	defer close(ended)
	var events [128]unix.EpollEvent
	for {
		n, err := unix.EpollWait(g.idle.ep, events[:], -1)
		if err != nil && err != unix.EINTR {
			g.log.Error("idle connections cannot be watched", "error", err)
			return
		}
		woken, more := g.woken(events[:max(n, 0)])
		for _, w := range woken {
			go w.run()
		}
		if !more {
			return
		}
	}
}

// woken makes connections live that have something to say; false if the group does not serve any more.
func (g *Group) woken(events []unix.EpollEvent) (all []*waking, more bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.phase != serving {
		return nil, false
	}
	for _, ev := range events {
		if l := g.idle.links[ev.Fd]; l != nil {
			g.idle.remove(l)
			all = append(all, g.wake(l))
		}
	}
	return all, true
}

// A waking connection is live, so a park waits for it, and gets its net.Conn and its goroutine now.
type waking struct {
	g       *Group
	l       *link
	c       gated
	quiet   bool   // it has no words: the socket has something to say
	early   *Early // its handler is told of it first; nil: it is not
	session []byte // what it is told
}

// wake makes an idle link live. The group's lock is held; run must follow, without it.
func (g *Group) wake(l *link) *waking {
	w := &waking{g: g, l: l, c: l.door.newConn(l), quiet: !l.spoken()}
	delete(g.worded, l)
	delete(g.early, l)
	l.unread, l.unsent = nil, nil
	g.live[w.c] = struct{}{}
	return w
}

func (w *waking) run() {
	f := os.NewFile(uintptr(w.l.fd), "connection")
	err := w.open(f)
	if err != nil {
		if err != io.EOF {
			w.g.log.Error("a connection could not be taken over", "listener", w.l.door.name, "error", err)
		}
		w.c.base().end() // while the descriptor is open: it is duplicated for the peer as long as the link is known
	}
	_ = f.Close()
	if err != nil {
		w.lost()
		return
	}
	w.l.door.serve(w.c)
}

// open makes a net.Conn of the descriptor; on failure the connection is hung up.
func (w *waking) open(f *os.File) error {
	fd := w.l.fd
	nc, err := net.Conn(nil), error(io.EOF)
	if !w.quiet || !saysEnd(fd) {
		nc, err = net.FileConn(f)
	}
	if err == nil && w.c.base().attach(nc) {
		return nil
	}
	_ = unix.Shutdown(fd, unix.SHUT_RDWR)
	if err == nil {
		_ = nc.Close()
		err = io.EOF
	}
	return err
}

// saysEnd reports whether all that an idle client has to say is that it has left.
func saysEnd(fd int) bool {
	var b [1]byte
	n, _, err := unix.Recvfrom(fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return n == 0 && err == nil || err == unix.ECONNRESET
}

// watchIdle hangs up, after the time limit of their listener, on the HTTP connections that have not said a word since
// the group was armed. The group's lock is held.
func (g *Group) watchIdle(d *door) {
	limit := d.idleLimit()
	if limit <= 0 {
		return
	}
	armed, now := g.armed, time.Now()
	time.AfterFunc(limit, func() { g.expire(d, armed, now) })
}

func (g *Group) expire(d *door, armed uint64, began time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.phase != serving || g.armed != armed {
		return
	}
	for _, l := range g.idle.links {
		if l.door == d && !l.since.After(began) {
			g.drop(l, hangup)
		}
	}
}
