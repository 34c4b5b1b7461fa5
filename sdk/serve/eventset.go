package serve

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An eventSet tells connections with events what happens to their sockets. It has three epoll instances, one in the other:
//
//	the runtime's ── for good ── outer ── while the group serves ── inner ── sockets
//
// Whoever waits for the outer one is scheduled like all others. The sockets are those of connections with events, whoever
// serves them: putting them in takes the kernel 2 µs each, and in a switch all clients would wait for it. A standby, which its
// peer's traffic is not to wake, only looks away; what happens meanwhile stays in the inner instance. (It could be in the
// runtime's itself, but the kernel walks through the whole set when one instance joins another. Looking again only has it walk
// through what has happened.) A nil set has nothing in it.
type eventSet struct {
	inner, outer int
	raw          syscall.RawConn // of outer

	mu    sync.Mutex
	on    bool
	conns []*EventConn // that are told, by descriptor
}

// eachTime is what a connection is told of: once each time it happens, however much of it is left.
const eachTime = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET

// unheard has the place of a connection to whose socket something has happened when nobody knew it.
var unheard = new(EventConn)

func newEventSet(log *slog.Logger) *eventSet {
	s := new(eventSet)
	if err := s.open(); err != nil {
		panic(fmt.Sprintf("serve: no epoll: %v", err)) // out of descriptors before anything was served
	}
	go s.run(log)
	return s
}

func (s *eventSet) open() (err error) {
	if s.inner, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if s.outer, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if err = unix.SetNonblock(s.outer, true); err != nil { // for the runtime to take it
		return os.NewSyscallError("fcntl", err)
	}
	if err = control(s.outer, unix.EPOLL_CTL_ADD, s.inner, 0); err != nil {
		return err
	}
	s.raw, err = os.NewFile(uintptr(s.outer), "epoll").SyscallConn()
	return err
}

func control(ep, op, fd int, events uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(ep, op, fd, &ev))
}

// start tells the connections, beginning with what has happened before.
func (s *eventSet) start() { s.look(true, unix.EPOLLIN|unix.EPOLLET) }

// stop returns when nobody is being told any more.
func (s *eventSet) stop() { s.look(false, 0) }

func (s *eventSet) look(on bool, events uint32) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on = on
	var said [1]unix.EpollEvent
	_, _ = now(s.outer, said[:])                              // or it would not say again that there is something
	_ = control(s.outer, unix.EPOLL_CTL_MOD, s.inner, events) // it is there, so this cannot fail
}

// watch has a link's socket in the set, and what happens to it stay there, beginning with how things are. The group's lock is held.
func (s *eventSet) watch(l *link) error {
	if l.watched {
		return nil
	}
	err := control(s.inner, unix.EPOLL_CTL_ADD, l.fd, eachTime)
	l.watched = err == nil
	return err
}

// unwatch takes a link's socket out. Its descriptor is open still. The group's lock is held.
func (s *eventSet) unwatch(l *link) {
	if s == nil || !l.watched {
		return
	}
	l.watched = false
	s.mu.Lock()
	defer s.mu.Unlock()
	*s.at(l.fd) = nil
	_ = control(s.inner, unix.EPOLL_CTL_DEL, l.fd, 0)
}

// tell has c, whose socket is in the set, be told of all that nobody was told of yet, and of what happens from now on.
func (s *eventSet) tell(c *EventConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	place := s.at(c.fd)
	missed := *place == unheard
	if *place = c; missed {
		s.tellAgain(c)
	}
}

// untell has c be told nothing more.
func (s *eventSet) untell(c *EventConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if place := s.at(c.fd); *place == c {
		*place = nil
	}
}

// tellAgain has whoever is told of c's socket be told how things are with it, and nothing of room in it any more.
func (s *eventSet) tellAgain(c *EventConn) {
	_ = control(s.inner, unix.EPOLL_CTL_MOD, c.fd, eachTime) // it is there, so this cannot fail
}

// tellRoom is tellAgain, and tells when the socket takes something as well.
func (s *eventSet) tellRoom(c *EventConn) error {
	return control(s.inner, unix.EPOLL_CTL_MOD, c.fd, eachTime|unix.EPOLLOUT)
}

// at is the place of a descriptor. The lock is held.
func (s *eventSet) at(fd int) **EventConn {
	if short := fd + 1 - len(s.conns); short > 0 {
		s.conns = append(slices.Grow(s.conns, short), make([]*EventConn, short)...)
	}
	return &s.conns[fd]
}

// run tells the connections, for as long as the process lives.
func (s *eventSet) run(log *slog.Logger) {
	var events [128]unix.EpollEvent
	var err error
	for err == nil {
		rerr := s.raw.Read(func(uintptr) bool {
			var n int
			n, err = s.tellSome(events[:])
			return n > 0 || err != nil
		})
		err = errors.Join(err, rerr)
	}
	log.Error("connections cannot be watched", "error", err)
}

// tellSome tells some of what has happened, and how many things that were.
func (s *eventSet) tellSome(events []unix.EpollEvent) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.on {
		return 0, nil
	}
	n, err := now(s.inner, events)
	for _, ev := range events[:n] {
		switch place := s.at(int(ev.Fd)); *place {
		case nil, unheard:
			*place = unheard
		default:
			(*place).happens(ev.Events)
		}
	}
	return n, err
}

// now is what has happened. Like all that does not wait it is not told to the scheduler: see rawCall.
func now(ep int, events []unix.EpollEvent) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if errno != 0 && errno != unix.EINTR {
		return 0, os.NewSyscallError("epoll_pwait", errno)
	}
	return max(int(n), 0), nil
}
