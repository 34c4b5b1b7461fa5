package serve

import (
	"errors"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// shutTime is for handshakes that have begun when a listener is shut: those clients come in still.
const shutTime = 250 * time.Millisecond

// noSYN drops the first segment of a connection and lets all others pass.
var noSYN = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 13},                  // the flags of TCP
	{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: 0x12},               // SYN and ACK
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0x02, Jt: 0, Jf: 1}, // SYN alone
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff_ffff},
}

// shut has nobody begin to connect at a TCP listener any more, whichever process holds it: what is in its queue when the last of them
// closes it is reset. A client that tries is told nothing, tries again by itself, and is refused once the listener is closed.
func (p *port) shut() {
	p.control(func(fd int) {
		prog := unix.SockFprog{Len: uint16(len(noSYN)), Filter: &noSYN[0]}
		_ = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog) // else some may be reset, as without it
	})
}

// reopen takes shut back.
func (p *port) reopen() {
	p.control(func(fd int) { _ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0) }) // fails if nothing is attached
}

func (p *port) control(f func(fd int)) {
	if _, tcp := p.ln.(*net.TCPListener); !tcp {
		return
	}
	if raw, err := p.ln.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { f(int(fd)) })
	}
}

// takeRest accepts what is in the queue of a listener at which nobody accepts any more.
func (d *door) takeRest(p *port) {
	raw, err := p.ln.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		for {
			conn, _, err := unix.Accept4(int(fd), unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
			switch {
			case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
				continue
			case err != nil:
				return
			}
			d.welcomeFD(conn)
		}
	})
}

func (d *door) welcomeFD(fd int) {
	f := os.NewFile(uintptr(fd), d.name)
	defer f.Close() //nolint:errcheck // FileConn has a duplicate
	nc, err := net.FileConn(f)
	if err != nil {
		d.g.log.Warn("a connection is lost", "listener", d.name, "error", err)
		return
	}
	d.welcome(nc)
}
