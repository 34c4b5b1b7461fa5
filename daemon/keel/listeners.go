package keel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// Address says which listener is meant. Owner and Name are the daemon's words; two listeners of one owner may have
// one name if their addresses differ, for two versions may want different ones.
type Address struct {
	Owner   string `json:"owner"`
	Name    string `json:"name"`
	Network string `json:"network"` // tcp, tcp4, tcp6 or unix
	Address string `json:"address"` // as in net.Listen
}

func (a Address) String() string { return a.Owner + "/" + a.Name + " " + a.Network + " " + a.Address }

// held is a listening socket. The keel keeps a bare descriptor: in the runtime's poller each new connection would
// wake the keel for nothing.
type held struct {
	Address
	fd       int
	real     string // the address with the port that the kernel chose
	nameless bool   // its file was removed, and that has been said
}

type listeners struct{ all []held }

// open returns the listener, the one that is held already if there is one.
func (l *listeners) open(a Address) (held, error) {
	if i := slices.IndexFunc(l.all, a.same); i >= 0 {
		return l.all[i], nil
	}
	h, err := listen(a)
	if err != nil {
		return held{}, l.explain(a, err)
	}
	l.all = append(l.all, h)
	return h, nil
}

// same listeners: all is equal, or one owner gives another name to a fixed address.
func (a Address) same(h held) bool {
	if h.Address == a {
		return true
	}
	_, port, _ := net.SplitHostPort(a.Address)
	fixed := a.Network == "unix" || port != "0"
	return fixed && h.Owner == a.Owner && h.Network == a.Network && h.Address.Address == a.Address
}

// explain adds who has the address, if it is one of ours.
func (l *listeners) explain(a Address, err error) error {
	for _, h := range l.all {
		if errors.Is(err, unix.EADDRINUSE) && (h.Address.Address == a.Address || h.real == a.Address) {
			return fmt.Errorf("%w: it is listener %q of %s", err, h.Name, h.Owner)
		}
	}
	return err
}

// retain closes the listeners of an owner that are not among those named.
func (l *listeners) retain(owner string, named []Address) {
	l.all = slices.DeleteFunc(l.all, func(h held) bool {
		if h.Owner != owner || slices.ContainsFunc(named, func(a Address) bool { return a.same(h) }) {
			return false
		}
		h.close()
		return true
	})
}

func (l *listeners) closeAll() {
	for _, h := range l.all {
		h.close()
	}
	l.all = nil
}

// close also takes the file of a unix socket away, which nobody else can be listening on: the lock is held.
func (h held) close() {
	unix.Close(h.fd)
	if h.Network == "unix" {
		_ = os.Remove(h.Address.Address)
		_ = os.Remove(spare(h.Address.Address))
	}
}

// spare is a second name of a socket's file: a socket that has lost all its names can get no new one.
func spare(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".spare")
}

// mend gives sockets whose files somebody has removed their names back.
func (l *listeners) mend(log hclog.Logger) {
	for i := range l.all {
		h := &l.all[i]
		if h.Network != "unix" {
			continue
		}
		path := h.Address.Address
		err := link(spare(path), path)
		if err == nil || errors.Is(err, fs.ErrExist) {
			if err == nil {
				log.Warn("the file of a socket was removed; it is there again", "path", path)
			}
			h.nameless = false
			_ = link(path, spare(path))
			continue
		}
		if !h.nameless {
			log.Error("the file of a socket was removed and cannot be made again: nobody can connect to it until the "+
				"instance is started anew", "path", path, "error", err)
		}
		h.nameless = true
	}
}

// link is os.Link, without an attempt where the new name is there already.
func link(from, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return fs.ErrExist
	}
	return os.Link(from, to)
}

// lookupTime bounds the look-up of a host name; an address needs none.
const lookupTime = 5 * time.Second

func listen(a Address) (held, error) {
	if a.Network == "unix" {
		if err := vacate(a.Address); err != nil {
			return held{}, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
	defer cancel()
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // what Go would choose is outside of Landlock's rules for TCP
	ln, err := lc.Listen(ctx, a.Network, a.Address)
	if err != nil {
		return held{}, err
	}
	defer ln.Close()
	return hold(a, ln)
}

// vacate takes away the file of a socket at which nobody listens any more. Whatever else has that name stays.
func vacate(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("listen unix %s: there is something else of that name", path)
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return fmt.Errorf("listen unix %s: %w", path, unix.EADDRINUSE)
	}
	return os.Remove(path)
}

// hold duplicates the descriptor out of the runtime's hands.
func hold(a Address, ln net.Listener) (held, error) {
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
		if err := os.Chmod(a.Address, 0o600); err != nil {
			return held{}, err
		}
		_ = os.Remove(spare(a.Address))
		_ = os.Link(a.Address, spare(a.Address)) // where there are no links, mend says so when it matters
	}
	sc, ok := ln.(syscall.Conn)
	if !ok {
		return held{}, fmt.Errorf("%s: cannot be passed on", a)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return held{}, err
	}
	h := held{Address: a, real: ln.Addr().String()}
	var duperr error
	err = raw.Control(func(fd uintptr) { h.fd, duperr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	return h, errors.Join(err, duperr)
}
