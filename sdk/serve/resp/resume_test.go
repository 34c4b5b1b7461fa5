package resp

import (
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/theseusd/theseus/sdk/serve/internal/servetest"
)

// A subscriber that was hung up in the instant of a switch was listed as one for ever.
func TestASubscriberThatIsHungUpInASwitchIsSaidToHaveLeft(t *testing.T) {
	closed := make(chan *Conn, 1)
	resumed := make(chan *Conn, 1)
	there := Server{
		Resume: func(c *Conn) {
			resumed <- c
			for err := error(nil); err != net.ErrClosed; { // it is too slow, and so it is hung up
				err = c.Push(bytes.Repeat([]byte("x"), MaxPush))
			}
		},
		Closed: func(c *Conn) { closed <- c },
		Handle: func(c *Conn, _ [][]byte) { c.WriteOK() },
	}
	w := newTwoOf(t, newBoard(), there)
	c := dial(t, w.Addr)
	_, _ = io.WriteString(c, "JOIN\r\n")
	expect(t, c, "+OK\r\n")
	w.Swap()
	if servetest.Next(t, closed) != <-resumed {
		t.Error("another one has left")
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the client is still connected")
	}
}
