package serve_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gobwas "github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/theseusd/theseus/sdk/serve/ws"
	"github.com/theseusd/theseus/sdk/serve/ws/wstest"
)

// newWall is a service in which everybody gets what anybody says.
func newWall() ws.Server {
	var mu sync.Mutex
	all := map[*ws.Conn]bool{}
	enter := func(c *ws.Conn) {
		mu.Lock()
		defer mu.Unlock()
		all[c] = true
	}
	return ws.Server{
		Open: enter, Resume: enter,
		Closed: func(c *ws.Conn, _ bool) {
			mu.Lock()
			defer mu.Unlock()
			delete(all, c)
		},
		Message: func(from *ws.Conn, text bool, b []byte) {
			if string(b) == "am I in?" {
				_ = from.Send(text, b)
				return
			}
			frame := ws.Frame(text, b)
			mu.Lock()
			defer mu.Unlock()
			for c := range all {
				_ = c.SendFrame(frame)
			}
		},
	}
}

// listener is a client that checks the numbers of what each speaker says.
type listener struct {
	net.Conn
	r     *bufio.Reader
	heard map[string]int
}

func dialWS(t testing.TB, l *listeners) *listener {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	nc, r, _, err := gobwas.Dial(ctx, "ws://"+l.ws.Addr().String()+"/")
	if err != nil {
		t.Fatal(err)
	}
	if r == nil {
		r = bufio.NewReader(nc)
	}
	t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(talkTime))
	if err := wsutil.WriteClientText(nc, []byte("am I in?")); err != nil {
		t.Fatal(err)
	}
	if f, err := wstest.ReadFrame(r); err != nil || string(f.Payload) != "am I in?" {
		t.Fatalf("%q, %v", f.Payload, err)
	}
	return &listener{nc, r, map[string]int{}}
}

func (l *listener) say(name string, n int) error {
	return wsutil.WriteClientText(l.Conn, fmt.Appendf(nil, "%s %d %s", name, n, strings.Repeat("x", n%300)))
}

// hear reads one message: the next one of its speaker, whole.
func (l *listener) hear() (name string, n int, err error) {
	f, err := wstest.ReadFrame(l.r)
	if err != nil {
		return "", 0, err
	}
	words := strings.Split(string(f.Payload), " ")
	if len(words) != 3 {
		return "", 0, fmt.Errorf("a torn frame: %.40q", f.Payload)
	}
	if n, err = strconv.Atoi(words[1]); err != nil || words[2] != strings.Repeat("x", n%300) {
		return "", 0, fmt.Errorf("a torn frame: %.40q", f.Payload)
	}
	if l.heard[words[0]]++; n != l.heard[words[0]] {
		return "", 0, fmt.Errorf("message %d of %s instead of %d", n, words[0], l.heard[words[0]])
	}
	return words[0], n, nil
}

// Every client, most of which never speak, hears every message of every speaker once and in order, over twenty processes.
func TestWebSocketsOverTwentyHandoversBetweenProcesses(t *testing.T) {
	talkOverTwentyHandovers(t, 50, func(l *listeners) talker { return dialWS(t, l) })
}

// run ends when each speaker has said its last message, under its name with a mark.
func (l *listener) run(name string, said, stop *atomic.Int64) error {
	n, ended := 1, 0
	if name != "" {
		if err := l.say(name, n); err != nil {
			return err
		}
	}
	for ended < speakers {
		who, _, err := l.hear()
		switch {
		case err != nil:
			return err
		case strings.HasSuffix(who, "!"):
			ended++
		case who == name:
			said.Add(1)
			n++
			next := name
			if stop.Load() > 0 {
				next, n = name+"!", 1
			}
			if err := l.say(next, n); err != nil {
				return err
			}
		}
	}
	return nil
}
