package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

// Client talks to the cache over a few connections that it keeps. Its fields are set before its first use; any
// goroutine may use it. Connections survive upgrades of the cache; one that has broken is replaced.
type Client struct {
	Network string        // tcp if empty
	Addr    string        // 127.0.0.1:6380 if empty
	Timeout time.Duration // of a command; a second if 0

	once sync.Once
	kept chan *conn
}

// maxIdle is how many connections a client keeps that nobody uses.
const maxIdle = 16

// NewClient makes a client of the cache at an address.
func NewClient(addr string) *Client { return &Client{Addr: addr} }

// idle is the connections that nobody uses.
func (c *Client) idle() chan *conn {
	c.once.Do(func() { c.kept = make(chan *conn, maxIdle) })
	return c.kept
}

type conn struct {
	net.Conn
	in *bufio.Reader
}

// Error is what the cache answers to a command that cannot be.
type Error string

func (e Error) Error() string { return string(e) }

var _ Store = (*Client)(nil)

// Get returns the value of a key.
func (c *Client) Get(ctx context.Context, key string) (value []byte, ok bool, err error) {
	value, err = c.do(ctx, "GET", key)
	return value, value != nil, err
}

// Set sets a key for a time; 0 is for ever, or what its namespace says.
func (c *Client) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	words := []string{"SET", key, string(value)}
	if ttl > 0 {
		words = append(words, "PX", strconv.FormatInt(max(ttl.Milliseconds(), 1), 10))
	}
	_, err := c.do(ctx, words...)
	return err
}

// Tag gives a key tags; Invalidate deletes all keys with them.
func (c *Client) Tag(ctx context.Context, key string, tags ...string) error {
	_, err := c.do(ctx, append([]string{"CACHE.TAG", key}, tags...)...)
	return err
}

// Invalidate deletes all keys that have one of the tags.
func (c *Client) Invalidate(ctx context.Context, tags ...string) error {
	_, err := c.do(ctx, append([]string{"CACHE.INVALIDATE"}, tags...)...)
	return err
}

// Close ends the connections that nobody uses.
func (c *Client) Close() error {
	for {
		select {
		case cn := <-c.idle():
			_ = cn.Close()
		default:
			return nil
		}
	}
}

// do sends a command and reads its answer: bytes, nil for none. A connection that was kept may have ended meanwhile;
// then another one is tried once, unless an answer had begun.
func (c *Client) do(ctx context.Context, words ...string) ([]byte, error) {
	cn, kept, err := c.take(ctx)
	if err != nil {
		return nil, err
	}
	answer, err := c.on(ctx, cn, words)
	if kept && errors.Is(err, errEnded) {
		if cn, err = c.dial(ctx); err != nil {
			return nil, err
		}
		answer, err = c.on(ctx, cn, words)
	}
	return answer, err
}

// errEnded says that a connection ended before an answer began.
var errEnded = errors.New("the connection has ended")

// take is a connection that nobody uses, or a new one.
func (c *Client) take(ctx context.Context) (cn *conn, kept bool, err error) {
	select {
	case cn = <-c.idle():
		return cn, true, nil
	default:
		cn, err = c.dial(ctx)
		return cn, false, err
	}
}

func (c *Client) dial(ctx context.Context) (*conn, error) {
	network, addr := c.Network, c.Addr
	if network == "" {
		network = "tcp"
	}
	if addr == "" {
		addr = "127.0.0.1:6380"
	}
	d := net.Dialer{Timeout: c.timeout()}
	nc, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	return &conn{nc, bufio.NewReader(nc)}, nil
}

func (c *Client) timeout() time.Duration {
	if c.Timeout == 0 {
		return time.Second
	}
	return c.Timeout
}

// on uses a connection for one command, and keeps it if it is still good.
func (c *Client) on(ctx context.Context, cn *conn, words []string) ([]byte, error) {
	until := time.Now().Add(c.timeout())
	if end, ok := ctx.Deadline(); ok && end.Before(until) {
		until = end
	}
	_ = cn.SetDeadline(until)
	err := cn.ask(words)
	var answer []byte
	if err == nil {
		answer, err = cn.answer()
	}
	if refused := Error(""); err != nil && !errors.As(err, &refused) {
		_ = cn.Close()
		return nil, fmt.Errorf("cache: %w", err)
	}
	select {
	case c.idle() <- cn:
	default:
		_ = cn.Close()
	}
	return answer, err
}

// ask sends a command, and returns when an answer begins.
func (cn *conn) ask(words []string) error {
	_, err := cn.Write(command(words))
	if err == nil {
		_, err = cn.in.Peek(1)
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %w", errEnded, err)
	}
	return err
}

func command(words []string) []byte {
	b := fmt.Appendf(nil, "*%d\r\n", len(words))
	for _, word := range words {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(word), word)
	}
	return b
}

// answer reads a reply of one piece.
func (cn *conn) answer() ([]byte, error) {
	line, err := cn.in.ReadString('\n')
	if err != nil || len(line) < 3 {
		return nil, errors.Join(err, bad(line, err))
	}
	text := line[1 : len(line)-2]
	switch line[0] {
	case '+', ':':
		return []byte(text), nil
	case '-':
		return nil, Error(text)
	case '$':
		return cn.bulk(text)
	}
	return nil, bad(line, nil)
}

func (cn *conn) bulk(size string) ([]byte, error) {
	n, err := strconv.Atoi(size)
	switch {
	case err != nil || n > 512<<20:
		return nil, bad(size, nil)
	case n < 0:
		return nil, nil
	}
	b := make([]byte, n+2)
	if _, err := io.ReadFull(cn.in, b); err != nil {
		return nil, err
	}
	return b[:n:n], nil
}

func bad(line string, err error) error {
	if err != nil {
		return nil
	}
	return fmt.Errorf("%.40q is no answer of the cache", line)
}
