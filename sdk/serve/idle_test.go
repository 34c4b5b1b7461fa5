package serve

import (
	"io"
	"net"
	"testing"
	"time"
)

// A client that hangs up while its connection is being woken must not end the pair that is told of it: the descriptor is
// duplicated under the lock, and until the link is forgotten it has to be that of the connection.
func TestLinkOfALeftClientKeepsItsDescriptor(t *testing.T) {
	ln := listenTCP(t)
	g := NewGroup(Options{})
	g.Stream("raw", twin(t, ln), func(c *Conn) { _, _ = io.Copy(io.Discard, c) })
	client := dial(t, ln.Addr())
	nc, err := ln.Accept()
	must(t, err)
	defer nc.Close()
	raw, err := nc.(*net.TCPConn).SyscallConn()
	must(t, err)
	l := &link{door: g.doors["raw"]}
	l.fd, err = dupOf(raw)
	must(t, err)
	must(t, client.nc.(*net.TCPConn).CloseWrite())

	g.mu.Lock()
	g.links[l] = struct{}{}
	w := g.wake(l)
	ended := make(chan struct{})
	go func() { defer close(ended); w.run() }()
	if !client.gone() {
		t.Fatal("the client is still connected")
	}
	for until := time.Now().Add(50 * time.Millisecond); time.Now().Before(until); time.Sleep(time.Millisecond) {
		fd, err := l.dup()
		if err != nil {
			t.Errorf("the peer cannot be told of the connection: %v", err)
			break
		}
		closeQuietly(fd)
	}
	g.mu.Unlock()
	<-ended
	if !l.dropped {
		t.Error("the link is still known")
	}
}
