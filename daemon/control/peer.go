package control

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// peer is the process at the other end when it connected, as the kernel says.
type peer struct {
	known bool
	uid   uint32
	pid   int32
}

type peerKey struct{}

// withPeer keeps the credentials of a connection in the context of its requests.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, ask(c))
}

func peerOf(ctx context.Context) peer {
	p, _ := ctx.Value(peerKey{}).(peer)
	return p
}

// ask reads SO_PEERCRED; a connection that has none is unknown.
func ask(c net.Conn) (p peer) {
	uc, ok := c.(*net.UnixConn)
	if !ok {
		return p
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return p
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			p = peer{known: true, uid: cred.Uid, pid: cred.Pid}
		}
	})
	return p
}

// trusted lets in the daemon's own account and root.
func trusted(p peer) bool {
	return p.known && (p.uid == 0 || int(p.uid) == os.Getuid())
}

// name is the account's name, its number if it has none.
func (p peer) name() string {
	if !p.known {
		return "an unknown account"
	}
	if u, err := user.LookupId(p.number()); err == nil {
		return u.Username
	}
	return "uid " + p.number()
}

func (p peer) number() string { return strconv.FormatUint(uint64(p.uid), 10) }

// who is the account with its number, "ada (uid 1000)": names change hands.
func (p peer) who() string {
	name := p.name()
	if !p.known || strings.HasPrefix(name, "uid ") {
		return name
	}
	return fmt.Sprintf("%s (uid %s)", name, p.number())
}
