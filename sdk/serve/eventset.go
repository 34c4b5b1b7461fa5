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

// An eventSet tells connections with events what happens to their sockets. They are in an epoll instance of their own, which
// is in that of Go's runtime: so whoever waits for it is scheduled like all others. Only who serves has connections in it.
type eventSet struct {
	ep  int
	raw syscall.RawConn

	mu    sync.Mutex
	conns []*EventConn // by descriptor
}

// eachTime is what a connection is told of: once each time it happens, however much of it is left.
const eachTime = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET

func newEventSet(log *slog.Logger) *eventSet {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err == nil {
		err = unix.SetNonblock(ep, true) // for the runtime to take it
	}
	s := &eventSet{ep: ep}
	if err == nil {
		s.raw, err = os.NewFile(uintptr(ep), "epoll").SyscallConn()
	}
	if err != nil {
		panic(fmt.Sprintf("serve: no epoll: %v", err)) // out of descriptors before anything was served
	}
	go s.run(log)
	return s
}

// add tells c from now on, beginning with how things are.
func (s *eventSet) add(c *EventConn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.control(unix.EPOLL_CTL_ADD, c.fd, eachTime); err != nil {
		return err
	}
	if short := c.fd + 1 - len(s.conns); short > 0 {
		s.conns = append(slices.Grow(s.conns, short), make([]*EventConn, short)...)
	}
	s.conns[c.fd] = c
	return nil
}

// addRoom tells c, which must be there, when its socket takes something again as well.
func (s *eventSet) addRoom(c *EventConn) error {
	return s.control(unix.EPOLL_CTL_MOD, c.fd, eachTime|unix.EPOLLOUT)
}

// remove takes c out, if it is in. Its descriptor is open still.
func (s *eventSet) remove(c *EventConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.fd < len(s.conns) && s.conns[c.fd] == c {
		s.conns[c.fd] = nil
		_ = s.control(unix.EPOLL_CTL_DEL, c.fd, 0)
	}
}

func (s *eventSet) control(op, fd int, events uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(s.ep, op, fd, &ev))
}

// run tells the connections, for as long as the process lives.
func (s *eventSet) run(log *slog.Logger) {
	var events [128]unix.EpollEvent
	for {
		n, err := s.wait(events[:])
		if err != nil {
			log.Error("connections cannot be watched", "error", err)
			return
		}
		for _, ev := range events[:n] {
			if c := s.at(int(ev.Fd)); c != nil {
				c.happens(ev.Events)
			}
		}
	}
}

func (s *eventSet) at(fd int) *EventConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns[fd]
}

func (s *eventSet) wait(events []unix.EpollEvent) (n int, err error) {
	rerr := s.raw.Read(func(fd uintptr) bool {
		n, err = now(int(fd), events)
		return n > 0 || err != nil
	})
	return n, errors.Join(err, rerr)
}

// now is what has happened. Like all that does not wait it is not told to the scheduler: see rawCall.
func now(ep int, events []unix.EpollEvent) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if errno != 0 && errno != unix.EINTR {
		return 0, os.NewSyscallError("epoll_pwait", errno)
	}
	return max(int(n), 0), nil
}
