package serve

import (
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A link is one established connection, whichever of the two paired processes serves it. Its fields are guarded by
// the group's lock.
type link struct {
	door    *door      // nil: this version has no listener of that name
	id      uint64     // in the pair; 0: the peer has no duplicate
	fd      int        // the descriptor while no conn has it; -1 otherwise
	conn    *gate      // that has the socket; nil: none
	event   *EventConn // that uses the descriptor; nil: none
	watched bool       // by the group's eventSet
	dropped bool
	since   time.Time // when it became idle here

	session []byte
	telling bool   // the session is about to be told to the peer
	unread  []byte // read from the socket by one process, not used yet
	unsent  []byte // written by a handler, not taken by the client yet
}

func (l *link) spoken() bool { return len(l.unread) > 0 || len(l.unsent) > 0 }

// dupOf duplicates the descriptor of a live connection without disturbing it.
func dupOf(raw syscall.RawConn) (int, error) {
	fd, err := -1, error(nil)
	cerr := raw.Control(func(s uintptr) { fd, err = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 3) })
	if cerr != nil {
		return -1, cerr
	}
	return fd, err
}

// dup duplicates the descriptor of a link, wherever it is now. The group's lock is held.
func (l *link) dup() (int, error) {
	switch {
	case l.dropped:
		return -1, net.ErrClosed
	case l.conn != nil:
		return dupOf(l.conn.raw)
	}
	fd, err := unix.FcntlInt(uintptr(l.fd), unix.F_DUPFD_CLOEXEC, 3)
	return fd, os.NewSyscallError("fcntl", err)
}

// hangup ends the connection for the client, although duplicates of the descriptor exist, and closes this one.
func hangup(fd int) {
	_ = unix.Shutdown(fd, unix.SHUT_RDWR)
	_ = unix.Close(fd)
}

// forget drops a link from all tables. The group's lock is held. It says whether the peer has to be told.
func (g *Group) forget(l *link) {
	if l.dropped {
		return
	}
	l.dropped = true
	delete(g.links, l)
	delete(g.worded, l)
	delete(g.early, l)
	delete(g.strangers, l)
	if l.fd >= 0 {
		g.idle.remove(l)
	}
	g.events.unwatch(l)
	l.conn, l.event = nil, nil
	if g.pair != nil && l.id != 0 {
		delete(g.pair.byID, l.id)
		if g.phase != standby {
			g.pair.say(op{kind: kindGone, id: l.id})
		}
	}
}

// drop forgets a link without a goroutine and closes its descriptor. The group's lock is held.
func (g *Group) drop(l *link, how func(fd int)) {
	g.forget(l)
	if l.fd >= 0 {
		how(l.fd)
		l.fd = -1
	}
}

func closeQuietly(fd int) { _ = unix.Close(fd) }
