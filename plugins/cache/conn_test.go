package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/sdktest"
)

func startCache(t testing.TB, o sdktest.Options) *sdktest.Instance {
	t.Helper()
	return sdktest.Start(t, service, o)
}

// conn sends commands and returns replies as they come, byte by byte.
type conn struct {
	net.Conn
	in *bufio.Reader
}

func dial(t testing.TB, addr string) *conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return &conn{c, bufio.NewReader(c)}
}

func encode(words ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.String()
}

// do sends one command and returns the raw reply.
func (c *conn) do(words ...string) (string, error) {
	if _, err := io.WriteString(c, encode(words...)); err != nil {
		return "", err
	}
	var b strings.Builder
	err := c.read(&b)
	return b.String(), err
}

// say is do for a line; an empty one reads a further reply.
func (c *conn) say(line string) (string, error) {
	if line != "" {
		return c.do(words(line)...)
	}
	var b strings.Builder
	err := c.read(&b)
	return b.String(), err
}

// read copies one whole reply, of RESP2 or RESP3.
func (c *conn) read(to *strings.Builder) error {
	line, err := c.in.ReadString('\n')
	to.WriteString(line)
	if err != nil {
		return err
	}
	n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
	switch line[0] {
	case '$':
		if n >= 0 {
			_, err = io.CopyN(to, c.in, int64(n)+2)
		}
		return err
	case '%':
		n *= 2
	case '*', '~', '>':
	default:
		return nil
	}
	for range n {
		if err := c.read(to); err != nil {
			return err
		}
	}
	return nil
}

// words splits a line at spaces; "" stands for the empty word.
func words(line string) []string {
	list := strings.Split(line, " ")
	for i, w := range list {
		if w == `""` {
			list[i] = ""
		}
	}
	return list
}

// short shows a reply in one line.
func short(reply string) string { return strings.ReplaceAll(reply, "\r\n", " ") }
