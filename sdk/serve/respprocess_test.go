package serve_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/serve/resp"
)

// newBoard is a service in which everybody who has joined gets what anybody says; to all else it answers with the last word.
func newBoard(version string) resp.Server {
	var mu sync.Mutex
	all := map[*resp.Conn]bool{}
	set := func(in bool) func(*resp.Conn) {
		return func(c *resp.Conn) {
			mu.Lock()
			defer mu.Unlock()
			if delete(all, c); in {
				all[c] = true
			}
		}
	}
	return resp.Server{Resume: set(true), Closed: set(false), Handle: func(c *resp.Conn, args [][]byte) {
		switch string(args[0]) {
		case "VERSION":
			c.WriteBulkString(version)
		case "JOIN":
			c.Pushing(true)
			set(true)(c)
			c.WriteOK()
		case "SAY":
			mu.Lock()
			defer mu.Unlock()
			for c := range all {
				_ = c.Push(args[1], args[2])
			}
			c.WriteOK()
		default:
			c.WriteBulk(args[len(args)-1])
		}
	}}
}

// subscriber checks the numbers of what each speaker says.
type subscriber struct {
	net.Conn
	r     *bufio.Reader
	heard map[string]int
}

func subscribe(t testing.TB, l *listeners) *subscriber {
	t.Helper()
	nc, err := net.Dial("tcp", l.resp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(talkTime))
	s := &subscriber{nc, bufio.NewReader(nc), map[string]int{}}
	_, _ = io.WriteString(nc, "JOIN\r\n")
	if line, err := s.r.ReadString('\n'); line != "+OK\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	return s
}

// burst is how many messages a speaker says at once: a handover comes between them.
const burst = 16

func (s *subscriber) say(name string, n int) error {
	var b strings.Builder
	for i := range burst {
		fmt.Fprintf(&b, "SAY %s %d\r\n", name, n+i)
	}
	_, err := io.WriteString(s.Conn, b.String())
	return err
}

// hear reads one message: the next one of its speaker.
func (s *subscriber) hear() (name string, n int, err error) {
	var words [5]string
	for i := 0; i < len(words); i++ {
		line, err := s.r.ReadString('\n')
		if err != nil {
			return "", 0, err
		}
		if words[i] = strings.TrimSpace(line); words[0] == "+OK" {
			i-- // an answer
		}
	}
	name = words[2]
	if n, err = strconv.Atoi(words[4]); err != nil || words[0] != "*2" {
		return "", 0, fmt.Errorf("a torn message: %q", words)
	}
	if s.heard[name]++; n != s.heard[name] {
		return "", 0, fmt.Errorf("message %d of %s instead of %d", n, name, s.heard[name])
	}
	return name, n, nil
}

// run ends when each speaker has said its last messages, under its name with a mark.
func (s *subscriber) run(name string, said, stop *atomic.Int64) error {
	if name != "" {
		if err := s.say(name, 1); err != nil {
			return err
		}
	}
	for ended := 0; ended < speakers; {
		who, n, err := s.hear()
		switch {
		case err != nil:
			return err
		case n%burst != 0:
		case strings.HasSuffix(who, "!"):
			ended++
		case who == name:
			said.Add(burst)
			next := n + 1
			if stop.Load() > 0 {
				who, next = name+"!", 1
			}
			if err := s.say(who, next); err != nil {
				return err
			}
		}
	}
	return nil
}

// A message that was said while a version was about to hand over did not reach those who had work left at that moment.
func TestSubscribersOverTwentyHandoversBetweenProcesses(t *testing.T) {
	talkOverTwentyHandovers(t, 5*burst, func(l *listeners) talker { return subscribe(t, l) })
}
