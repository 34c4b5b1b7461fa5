package serve

import (
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// An idleSet holds the connections that need no goroutine: disarmed ones, which the peer serves, and armed ones that
// have not said a word since they came. They wait in an epoll instance of their own, so arming any number of them is
// one step, and a standby is not woken by its peer's traffic: nobody looks at the instance until collect runs.
type idleSet struct {
	ep     int
	links  map[int32]*link
	file   *os.File // the collector's view of ep; nil: nobody looks
	ended  chan struct{}
	events [128]unix.EpollEvent
}

func newIdleSet() *idleSet {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		panic("serve: " + os.NewSyscallError("epoll_create1", err).Error())
	}
	return &idleSet{ep: ep, links: map[int32]*link{}}
}

// add takes a link with a descriptor in. The group's lock is held.
func (s *idleSet) add(l *link) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(l.fd)}
	if err := unix.EpollCtl(s.ep, unix.EPOLL_CTL_ADD, l.fd, &ev); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
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

// ready returns links that have something to say, and takes them out. The group's lock is held.
func (s *idleSet) ready() []*link {
	n, err := unix.EpollWait(s.ep, s.events[:], 0)
	if err != nil || n <= 0 {
		return nil
	}
	links := make([]*link, 0, n)
	for _, ev := range s.events[:n] {
		if l := s.links[ev.Fd]; l != nil {
			s.remove(l)
			links = append(links, l)
		}
	}
	return links
}

// look makes the set readable through the runtime's poller.
func (s *idleSet) look() error {
	fd, err := unix.FcntlInt(uintptr(s.ep), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	s.file, s.ended = os.NewFile(uintptr(fd), "idle connections"), make(chan struct{})
	return nil
}

// startCollect serves idle connections as soon as they speak. The group's lock is held.
func (g *Group) startCollect() error {
	if err := g.idle.look(); err != nil {
		return err
	}
	go g.collect(g.idle.file, g.idle.ended)
	return nil
}

// stopCollect returns when no idle connection is being woken any more: those that were are live.
func (g *Group) stopCollect() {
	g.mu.Lock()
	file, ended := g.idle.file, g.idle.ended
	g.idle.file = nil
	g.mu.Unlock()
	if file == nil {
		return
	}
	_ = file.SetReadDeadline(past)
	<-ended
}

func (g *Group) collect(file *os.File, ended chan struct{}) {
	defer close(ended)
	defer file.Close()
	raw, err := file.SyscallConn()
	if err != nil {
		g.log.Error("idle connections cannot be watched", "error", err)
		return
	}
	for {
		var woken []*waking
		if err := raw.Read(func(uintptr) bool { return g.collectOnce(&woken) }); err != nil {
			return
		}
		for _, w := range woken {
			go w.run()
		}
	}
}

// collectOnce makes connections live that have something to say; false if there are none.
func (g *Group) collectOnce(woken *[]*waking) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.phase != serving {
		return false
	}
	for _, l := range g.idle.ready() {
		*woken = append(*woken, g.wake(l))
	}
	return len(*woken) > 0
}

// A waking connection is live, so a park waits for it, and gets its net.Conn and its goroutine now.
type waking struct {
	g     *Group
	l     *link
	c     liveConn
	quiet bool // it has no words: the socket has something to say
}

// wake makes an idle link live. The group's lock is held; run must follow, without it.
func (g *Group) wake(l *link) *waking {
	w := &waking{g: g, l: l, c: l.door.liveConn(l), quiet: !l.spoken()}
	delete(g.worded, l)
	l.unread, l.unsent = nil, nil
	g.live[w.c] = struct{}{}
	return w
}

func (w *waking) run() {
	err := w.open()
	if err == nil {
		w.l.door.serve(w.c)
		return
	}
	if err != io.EOF {
		w.g.log.Error("a connection could not be taken over", "listener", w.l.door.name, "error", err)
	}
	w.c.base().end()
}

// open makes a net.Conn of the descriptor; on failure the connection is hung up.
func (w *waking) open() error {
	f := os.NewFile(uintptr(w.l.fd), "connection")
	defer f.Close()
	nc, err := net.Conn(nil), error(io.EOF)
	if !w.quiet || !saysEnd(w.l.fd) {
		nc, err = net.FileConn(f)
	}
	if err != nil {
		_ = unix.Shutdown(w.l.fd, unix.SHUT_RDWR)
		return err
	}
	w.c.base().attach(nc)
	return nil
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
