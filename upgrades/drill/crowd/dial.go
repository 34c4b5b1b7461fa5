package crowd

import (
	"bufio"
	"context"
	"math/rand/v2"
	"net"
	"syscall"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

// machines is how many addresses the clients come from. From one the kernel would look through thousands of ports for each
// client that comes back, and take the processors from the service for longer than that needs for all of them.
const machines = 64

func (c *Crowd) dialWebSocket(ctx context.Context) (net.Conn, *bufio.Reader, error) {
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+rand.N(machines)))}
	tcp := net.Dialer{LocalAddr: from, Control: anyPort}
	d := ws.Dialer{NetDial: tcp.DialContext}
	conn, in, _, err := d.Dial(ctx, "ws://"+c.Addr+"/connection/websocket")
	if err == nil && in == nil {
		in = bufio.NewReaderSize(conn, 1024)
	}
	return conn, in, err
}

// anyPort leaves the choice of the port to connect, which takes any that is free towards this peer.
func anyPort(_, _ string, raw syscall.RawConn) (err error) {
	cerr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
	if cerr != nil {
		return cerr
	}
	return err
}
