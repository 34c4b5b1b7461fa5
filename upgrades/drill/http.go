package drill

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strconv"
	"time"
)

// patience is how long a client waits for one answer before it calls it lost.
const patience = 30 * time.Second

// httpConn is one keep-alive HTTP connection. It never reconnects and never sends a request twice: whatever goes
// wrong is an error.
type httpConn struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	body []byte
}

func dialHTTP(addr string) (*httpConn, error) {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	return &httpConn{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}, nil
}

func (c *httpConn) close() { _ = c.conn.Close() }

// put adds a request to those that flush sends.
func (c *httpConn) put(method, path string, body []byte) {
	c.out = append(append(append(c.out, method...), ' '), path...)
	c.out = append(c.out, " HTTP/1.1\r\nHost: drill\r\n"...)
	if method == "POST" {
		c.out = append(strconv.AppendInt(append(c.out, "Content-Length: "...), int64(len(body)), 10), "\r\n"...)
	}
	c.out = append(append(c.out, "\r\n"...), body...)
}

func (c *httpConn) flush() error {
	_ = c.conn.SetDeadline(time.Now().Add(patience))
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// errClosing is an answer after which the server hangs up: the connection did not survive.
var errClosing = errors.New("the server answered Connection: close")

// next reads the answer to the oldest request that has none. The body is good until the next call.
func (c *httpConn) next() (status int, body []byte, err error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, nil, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, nil, fmt.Errorf("not an HTTP answer: %.40q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, nil, fmt.Errorf("not an HTTP status: %.40q", line)
	}
	length, err := c.header()
	if err != nil {
		return 0, nil, err
	}
	c.body = slices.Grow(c.body[:0], length)[:length]
	_, err = io.ReadFull(c.in, c.body)
	return status, c.body, err
}

// header reads up to the empty line and returns the length of the body.
func (c *httpConn) header() (length int, err error) {
	length = -1
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = textproto.TrimBytes(line)
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("Connection")) && bytes.EqualFold(textproto.TrimBytes(value), []byte("close")):
			return 0, errClosing
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(textproto.TrimBytes(value))); err != nil {
				return 0, err
			}
		}
	}
	if length < 0 {
		return 0, errors.New("an answer without Content-Length")
	}
	return length, nil
}

// do is one request and its answer, which must have status 200.
func (c *httpConn) do(method, path string, body []byte) ([]byte, error) {
	c.put(method, path, body)
	if err := c.flush(); err != nil {
		return nil, err
	}
	status, answer, err := c.next()
	if err == nil && status != 200 {
		err = fmt.Errorf("%s %s: status %d: %.200s", method, path, status, answer)
	}
	return answer, err
}
