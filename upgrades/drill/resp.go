package drill

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// respConn is one connection that speaks Redis' protocol. Like httpConn it never reconnects.
type respConn struct {
	conn net.Conn
	in   *bufio.Reader
}

func dialRESP(addr string) (*respConn, error) {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	return &respConn{conn: conn, in: bufio.NewReader(conn)}, nil
}

func (c *respConn) close() { _ = c.conn.Close() }

// incr adds one to a number and returns it.
func (c *respConn) incr(key string) (int64, error) {
	_ = c.conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(c.conn, "*2\r\n$4\r\nINCR\r\n$%d\r\n%s\r\n", len(key), key); err != nil {
		return 0, err
	}
	line, err := c.in.ReadString('\n')
	if err != nil {
		return 0, err
	}
	number, ok := strings.CutPrefix(strings.TrimSpace(line), ":")
	if !ok {
		return 0, fmt.Errorf("INCR %s: %.100q", key, line)
	}
	return strconv.ParseInt(number, 10, 64)
}
