package api

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// server gives answers that were prepared.
type server struct {
	addr     string
	answers  chan string
	accepted atomic.Int32
}

func serve(t *testing.T) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	s := &server{addr: ln.Addr().String(), answers: make(chan string, 10)}
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			go answer(nc, s.answers)
		}
	}()
	return s
}

func (s *server) say(list ...string) {
	for _, a := range list {
		s.answers <- a
	}
}

// The client understands the answers of a server, and survives the end of a connection that it kept.
func TestClient(t *testing.T) {
	s := serve(t)
	c := NewClient(s.addr)
	defer c.Close()
	s.say("$2\r\nhi\r\n", "$-1\r\n", "+OK\r\n", "-ERR no\r\n", "close", "$0\r\n\r\n", "what\r\n")
	if v, ok, err := c.Get(t.Context(), "k"); string(v) != "hi" || !ok || err != nil {
		t.Errorf("got %q, %v, %v", v, ok, err)
	}
	if _, ok, err := c.Get(t.Context(), "k"); ok || err != nil {
		t.Errorf("a key that is not there: %v, %v", ok, err)
	}
	if err := c.Set(t.Context(), "k", []byte("v"), time.Second); err != nil {
		t.Error(err)
	}
	var refused Error
	if err := c.Tag(t.Context(), "k", "t"); !errors.As(err, &refused) || refused != "ERR no" {
		t.Errorf("got %v", err)
	}
	if v, ok, err := c.Get(t.Context(), "k"); len(v) != 0 || !ok || err != nil {
		t.Errorf("after the end of a connection: %q, %v, %v", v, ok, err)
	}
	if err := c.Invalidate(t.Context(), "t"); err == nil || !strings.Contains(err.Error(), "no answer of the cache") {
		t.Errorf("got %v", err)
	}
}

// A client without the help of NewClient dialled for every command.
func TestAPlainClientKeepsItsConnections(t *testing.T) {
	s := serve(t)
	c := &Client{Addr: s.addr}
	defer c.Close()
	s.say("$-1\r\n", "$-1\r\n", "$-1\r\n")
	for range 3 {
		if _, _, err := c.Get(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.accepted.Load(); n != 1 {
		t.Errorf("%d connections for three commands", n)
	}
}

// A command whose answer had begun when the connection broke was sent once more.
func TestABrokenAnswerIsNotAskedForAgain(t *testing.T) {
	for _, half := range []string{"$2", "$2\r\n", "$2\r\nh", "+O"} {
		s := serve(t)
		c := NewClient(s.addr)
		s.say("$-1\r\n", half+"close", "$2\r\nhi\r\n")
		_, _, first := c.Get(t.Context(), "k")
		if v, _, err := c.Get(t.Context(), "k"); first != nil || err == nil || s.accepted.Load() != 1 {
			t.Errorf("after %q: %q, %v, %v, %d connections", half, v, first, err, s.accepted.Load())
		}
		_ = c.Close()
	}
}

// answer reads commands and gives the answers that were prepared.
func answer(nc net.Conn, answers chan string) {
	defer nc.Close()
	in := bufio.NewReader(nc)
	for {
		var words int
		if _, err := fmt.Fscanf(in, "*%d\r\n", &words); err != nil {
			return
		}
		for range 2 * words {
			if _, err := in.ReadString('\n'); err != nil {
				return
			}
		}
		a, end := strings.CutSuffix(<-answers, "close")
		if _, err := nc.Write([]byte(a)); err != nil || end {
			return
		}
	}
}
