package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// lines are kept connections to the service. They do what an http.Transport does, without its goroutines: dozens of
// clients ask all the time, and none of them may cost more than the service that answers.
type lines struct {
	addr string

	mu   sync.Mutex
	idle []*line
}

// line is one connection, which is asked one question after another.
type line struct {
	net.Conn
	r *bufio.Reader
}

// do sends a request without a body and returns the answer. A question that an old connection does not answer is asked
// again on a new one; what would change something is not.
func (l *lines) do(ctx context.Context, method, path string) (string, error) {
	ctx, stop := context.WithTimeout(ctx, answers)
	defer stop()
	if c := l.take(); c != nil {
		text, err := l.ask(ctx, c, method, path)
		if err == nil || method != http.MethodGet || ctx.Err() != nil {
			return text, err
		}
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", l.addr)
	if err != nil {
		return "", err
	}
	return l.ask(ctx, &line{conn, bufio.NewReader(conn)}, method, path)
}

// ask leaves the connection with the idle ones, or closed.
func (l *lines) ask(ctx context.Context, c *line, method, path string) (string, error) {
	res, text, err := c.exchange(ctx, method, path)
	if err != nil || res.Close {
		_ = c.Close()
	} else {
		l.giveBack(c)
	}
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", res.StatusCode, text)
	}
	return text, err
}

func (c *line) exchange(ctx context.Context, method, path string) (*http.Response, string, error) {
	end, _ := ctx.Deadline()
	_ = c.SetDeadline(end)
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	if _, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: tally\r\nContent-Length: 0\r\n\r\n", method, path); err != nil {
		return nil, "", err
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close() // it is read to its end
	text, err := io.ReadAll(res.Body)
	return res, string(text), err
}

func (l *lines) take() *line {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.idle)
	if n == 0 {
		return nil
	}
	c := l.idle[n-1]
	l.idle = l.idle[:n-1]
	return c
}

func (l *lines) giveBack(c *line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.idle = append(l.idle, c)
}

// close hangs up.
func (l *lines) close() {
	for c := l.take(); c != nil; c = l.take() {
		_ = c.Close()
	}
}
